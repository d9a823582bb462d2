"""Lists of applicants: two encodings; bad lines are told by number and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.applicants import Applicants, read_applicants
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc

ONE, TWO = make_uscc(1), make_uscc(2)


def read(tmp_path: Path, data: bytes, column: str | None = None) -> Applicants:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    return read_applicants(path, {"least"}, column)


def refused(tmp_path: Path, data: bytes, column: str | None = None) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as error:
        read(tmp_path, data, column)
    return error.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_names_in_either_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    text = f"企业,统一社会信用代码\n甲公司,{ONE}\n乙公司,{TWO.lower()}\n"
    applicants = read(tmp_path, text.encode(encoding))
    assert applicants.heading == ("企业", "统一社会信用代码")
    assert applicants.subjects == (ONE, TWO)
    assert applicants.lines[0] == ("甲公司", ONE)
    assert list(applicants.rows()) == [ONE, TWO]


def test_columns_named_like_parameters_hold_their_values(tmp_path: Path) -> None:
    applicants = read(tmp_path, f"uscc,least,note\n{ONE},5000,a\n{ONE},1000,b\n".encode())
    assert list(applicants.rows()) == [(ONE, {"least": "5000"}), (ONE, {"least": "1000"})]


def test_the_column_of_subjects_can_be_named(tmp_path: Path) -> None:
    assert read(tmp_path, f"code\n{ONE}\n\n".encode(), "code").subjects == (ONE,)


def test_every_bad_line_is_told_by_its_number_and_rule(tmp_path: Path) -> None:
    lines = ["uscc,least", f"{ONE},5000", "12,5000", f"{TWO},", f"{TWO}", f"{ONE},5000"]
    error = refused(tmp_path, "\n".join(lines).encode())
    assert error.reason is Reason.MALFORMED
    told = [(fault.field.rpartition(" ")[2], fault.rule) for fault in error.fields]
    assert [line for line, _ in told] == ["3", "4", "5", "6"]
    assert "18 characters" in told[0][1]
    assert told[1][1] == "no value for least"
    assert told[2][1] == "1 fields, and the heading has 2"
    assert told[3][1] == "the same row stands in line 2"
    assert error.detail == "4 bad lines; nothing was sent"


def test_only_the_first_bad_lines_are_told_and_all_are_counted(tmp_path: Path) -> None:
    error = refused(tmp_path, b"uscc\n" + b"x\n" * 50)
    assert len(error.fields) == 20
    assert error.detail.startswith("50 bad lines")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "no column uscc"),
        (b"name\nx\n", "no column uscc"),
        (b"uscc,uscc\n", "stands twice"),
        (b"uscc,answer\n", "rename it"),
        (b"uscc\n", "0 applicants"),
        (b"uscc\n\xff\xff\n", "neither UTF-8 nor GB18030"),
    ],
)
def test_a_file_that_is_no_list_is_refused_by_its_rule(
    tmp_path: Path, data: bytes, rule: str
) -> None:
    assert rule in refused(tmp_path, data).detail


def test_quotes_that_do_not_close_are_told(tmp_path: Path) -> None:
    assert refused(tmp_path, b'uscc\n"' + ONE.encode()).reason is Reason.MALFORMED
