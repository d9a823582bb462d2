"""A bank's table for a training is taken whole, or its bad lines are named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from saferoom_client.training.table import LABEL_RULE, NUMBER_RULE, TrainingTable, read_table
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc

HEADING = "uscc,limit,late,bad"


def lines(count: int = 120) -> list[str]:
    return [HEADING, *(f"{make_uscc(at)},{at},{at / 7:.3f},{at % 2}" for at in range(1, count + 1))]


def written(tmp_path: Path, rows: list[str]) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def refused(path: Path, **asked: object) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as error:
        read_table(path, **({"label": "bad"} | asked))  # pyright: ignore[reportArgumentType]
    return error.value


def test_a_table_is_subjects_labels_and_columns(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, lines()), label="bad")
    assert table.subjects[0] == make_uscc(1)
    assert table.labels[:3] == (1, 0, 1)
    assert list(table.columns) == ["limit", "late"]
    assert list(table.columns["limit"][:2]) == [1.0, 2.0]


def test_only_the_columns_that_were_named_are_taken(tmp_path: Path) -> None:
    path = written(tmp_path, lines())
    assert list(read_table(path, label="bad", columns=["late"]).columns) == ["late"]


def test_parquet_and_csv_of_the_same_rows_are_the_same_table(tmp_path: Path) -> None:
    path = written(tmp_path, lines())
    heading, *rows = (line.split(",") for line in lines())
    columns = list(zip(*rows, strict=True))
    kinds = (str, int, float, int)
    typed = [[kind(value) for value in column] for kind, column in zip(kinds, columns, strict=True)]
    parquet.write_table(
        pa.table(dict(zip(heading, typed, strict=True))), str(tmp_path / "rows.parquet")
    )
    assert read_table(tmp_path / "rows.parquet", label="bad").digest == (
        read_table(path, label="bad").digest
    )


def test_each_bad_line_is_named_with_its_column_and_rule(tmp_path: Path) -> None:
    rows = lines()
    rows[3] = f"{make_uscc(3)},,1,1"
    rows[4] = f"{make_uscc(4)},abc,1,0"
    rows[5] = f"{make_uscc(5)},1,inf,0"
    rows[6] = f"{make_uscc(6)},1,1,maybe"
    rows[7] = "919900000000000000,1,1,0"
    rows[8] = f"{make_uscc(2)},1,1,0"
    rows[9] = f"{make_uscc(9)},1,1"
    refusal = refused(written(tmp_path, rows))
    assert refusal.reason is Reason.MALFORMED
    told = [(fault.field.rpartition(" ")[2], fault.rule) for fault in refusal.fields]
    assert ("4", f"limit: {NUMBER_RULE}") in told
    assert ("5", f"limit: {NUMBER_RULE}") in told
    assert ("6", f"late: {NUMBER_RULE}") in told
    assert ("7", f"label: {LABEL_RULE}") in told
    assert ("9", "subject: the same subject stands in line 3") in told
    assert {"8", "10"} <= {line for line, _ in told}
    assert refusal.detail == "7 bad lines; nothing was sent"


def test_bad_lines_are_counted_and_not_all_told(tmp_path: Path) -> None:
    rows = [HEADING, *(f"{make_uscc(at)},x,1,0" for at in range(1, 3001))]
    refusal = refused(written(tmp_path, rows))
    assert len(refusal.fields) == 20
    assert refusal.detail.startswith("3000 bad lines")


@pytest.mark.parametrize(
    ("heading", "asked"),
    [
        ("code,limit,late,bad", {}),
        ("uscc,limit,limit,bad", {}),
        (HEADING, {"label": "default"}),
        (HEADING, {"columns": ["limit", "income"]}),
        (HEADING, {"columns": ["bad"]}),
        (HEADING, {"columns": ["late", "late"]}),
        (HEADING, {"subject": "code"}),
    ],
)
def test_a_heading_that_lacks_what_was_named_is_refused(
    tmp_path: Path, heading: str, asked: dict[str, object]
) -> None:
    refusal = refused(written(tmp_path, [heading, *lines()[1:]]), **asked)
    assert refusal.reason is Reason.BAD_CONFIG


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    assert refused(written(tmp_path, lines(99))).reason is Reason.BAD_CONFIG
    assert len(read_table(written(tmp_path, lines(100)), label="bad").subjects) == 100


def test_another_value_label_or_order_is_another_table(tmp_path: Path) -> None:
    first = read_table(written(tmp_path, lines()), label="bad")
    digests = {first.digest}
    for at, changed in ((2, f"{make_uscc(2)},2,0.5,0"), (2, f"{make_uscc(2)},2,0.286,1")):
        rows = lines()
        rows[at] = changed
        digests.add(read_table(written(tmp_path, rows), label="bad").digest)
    turned = [HEADING, *reversed(lines()[1:])]
    digests.add(read_table(written(tmp_path, turned), label="bad").digest)
    assert len(digests) == 4
    assert isinstance(first, TrainingTable)
