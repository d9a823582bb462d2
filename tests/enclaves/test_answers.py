"""What a child may answer: one that was taken over answers anything, and is believed nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import pytest

from saferoom_enclaves.answers import frozen
from saferoom_enclaves.children.frames import Frame
from saferoom_enclaves.children.jobs import About, TableWanted
from saferoom_enclaves.children.workshop import ChildError, Heard, Job
from saferoom_enclaves.features.computed import FeatureRule
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.storework import Allowance, StoreWork
from saferoom_enclaves.vault import freeze
from saferoom_proto.load_links import UNLINKED_RULE
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import FeatureKind
from simulator.children import children
from tests.enclaves.linked import BILLS, MAP
from tests.enclaves.tables import ARREARS, SUBJECTS, VAT, as_csv
from tests.enclaves.test_materialise import feature

LATE: Final = feature(FeatureKind.FLAG, "late")
CANARY: Final = "canary-4711"


class Lying:
    """A workshop whose child says what the test wants it to say; it takes the real one's place."""

    def __init__(self, answer: object, written: bytes = b"", files: tuple[int, ...] = ()) -> None:
        self._answer = answer
        self._written = written
        self._files = files

    def run(self, job: Job, heard: Heard = lambda _: None) -> Frame:
        del heard
        if self._written:
            os.write(job.files[-1], self._written)
        return Frame(json.dumps({"answer": self._answer}).encode(), self._files)


def lied_to(answer: object, written: bytes = b"", files: tuple[int, ...] = ()) -> StoreWork:
    lying: Any = Lying(answer, written, files)
    return StoreWork(lying, Path("/dev/shm"), Allowance())


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(SafeRoomError) as caught:
        call()
    assert caught.value.reason is Reason.INTERNAL
    assert CANARY not in str(caught.value)
    return caught.value.detail


@pytest.fixture
def memory() -> Generator[int]:
    memfd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memfd, as_csv(["uscc", "amount", "open"], [(SUBJECTS[0], "1", "true")]))
    freeze(memfd)
    yield memfd
    os.close(memfd)


CODES: Final = b"".join(f"{at:018d}".encode() for at in range(3))


@pytest.mark.parametrize(
    ("subjects", "content", "rule"),
    [
        (3, CODES + b"\0\1", "an index has another length than it says"),
        (3, CODES + b"\0\1\0\0", "an index has another length than it says"),
        (1 << 50, CODES, "an index has another length than it says"),
        (3, CODES[18:] + CODES[:18] + b"\0\1\0", "an index names its subjects out of order"),
        (2, CODES[:18] * 2 + b"\0\1", "an index names its subjects out of order"),
        (3, CODES + b"\0\1\2", "a cell of tax.it is on no grid"),
        (3, CODES + b"\0\1\xfe", "a cell of tax.it is on no grid"),
    ],
)
def test_an_index_of_another_form_is_refused(subjects: int, content: bytes, rule: str) -> None:
    with pytest.raises(SafeRoomError) as caught:
        FeatureIndex.of(memoryview(content), subjects, [LATE.shape])
    assert caught.value.detail == rule


def test_cells_that_are_absent_are_on_the_grid() -> None:
    index = FeatureIndex.of(memoryview(CODES + b"\0\1\xff"), 3, [LATE.shape])
    found = [index.cells(f"{at:018d}", [LATE.shape.ref])[0] for at in range(3)]
    assert found == [0, 1, None]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"broken": None},
        {"subjects": -1, "refused": []},
        {"subjects": 0.5, "refused": []},
        {"subjects": 0, "refused": [], "more": CANARY},
        {"subjects": 0, "refused": [{"feature": 0, "rule": CANARY}]},
        {"subjects": 0, "refused": [{"feature": 1, "rule": FeatureRule.MEMORY}]},
        {"reason": "INTERNAL", "detail": CANARY},
        {"reason": CANARY},
    ],
)
def test_an_answer_about_features_has_one_form(answer: object, memory: int) -> None:
    assert refused(lambda: lied_to(answer).compute(memory, [VAT], [LATE]))


def test_what_a_child_wrote_cannot_change_once_it_is_taken() -> None:
    written = os.memfd_create("cells", os.MFD_ALLOW_SEALING)
    os.write(written, CODES)
    view = frozen(written)
    with pytest.raises(PermissionError):
        os.pwrite(written, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(written, 0)
    assert bytes(view) == CODES
    os.close(written)


GOOD: Final[dict[str, object]] = {"rows": {"arrears": 1}, "bad_rows": [], "bad_row_count": 0}
BAD_ROW: Final = {"table": "arrears", "line": 2, "column": "open", "rule": "true, false, 1 or 0"}


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {}},
        {"rows": {"arrears": -1}},
        {"rows": {"arrears": 1, "vat": 1}},
        {"bad_row_count": 1},  # and a file
        {"bad_rows": [BAD_ROW]},
        {"bad_rows": [BAD_ROW | {"table": "vat"}], "bad_row_count": 1},
        {"bad_rows": [BAD_ROW | {"column": "paid"}], "bad_row_count": 1},
        {"bad_rows": [BAD_ROW | {"rule": CANARY}], "bad_row_count": 1},
        {"bad_rows": [BAD_ROW | {"line": -1}], "bad_row_count": 1},
        {"bad_rows": [BAD_ROW] * 101, "bad_row_count": 101},
    ],
)
def test_an_answer_about_a_load_names_only_what_its_schema_has(
    changes: dict[str, object], memory: int, tmp_path: Path
) -> None:
    (tmp_path / "store").write_bytes(b"x")
    file = os.open(tmp_path / "store", os.O_RDONLY)
    (tmp_path / "store").unlink()
    assert refused(lambda: lied_to(GOOD | changes, files=(file,)).build([(ARREARS, memory)]))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)  # it was closed


LINK: Final = {"table": "bills", "linked": 1, "unlinked": 0, "ended": 0, "ambiguous": 0}
LINKED: Final[dict[str, object]] = {
    "rows": {"accounts": 1, "bills": 1},
    "bad_rows": [],
    "bad_row_count": 0,
    "links": [LINK | {"unused": 0}],
}
LEFT: Final = {"table": "bills", "line": 2, "column": "account", "rule": UNLINKED_RULE}


@pytest.mark.parametrize(
    "changes",
    [
        {"links": []},
        {"links": [LINK | {"unused": 0, "table": "accounts"}]},
        {"links": [LINK | {"unused": 0}] * 2},
        {"links": [LINK | {"unused": 0, "ambiguous": 1}]},  # none may be left out
        {"left": [LEFT]},
        {"left": [LEFT | {"table": "accounts"}]},
        {"left": [LEFT | {"rule": CANARY}]},
    ],
)
def test_an_answer_about_links_leaves_out_what_its_order_does(
    changes: dict[str, object], memory: int, tmp_path: Path
) -> None:
    (tmp_path / "store").write_bytes(b"x")
    file = os.open(tmp_path / "store", os.O_RDONLY)
    (tmp_path / "store").unlink()
    tables = [(MAP, memory), (BILLS, memory)]
    assert refused(lambda: lied_to(LINKED | changes, files=(file,)).build(tables))


@pytest.mark.parametrize("kind", ["a file with a name", "nothing in it", "a folder", "a pipe"])
def test_a_store_is_a_file_of_its_own(kind: str, memory: int, tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"" if kind == "nothing in it" else b"x")
    match kind:
        case "a folder":
            file = os.open(tmp_path, os.O_RDONLY)
        case "a pipe":
            file, other = os.pipe()
            os.close(other)
        case _:
            file = os.open(tmp_path / "store", os.O_RDONLY)
            if kind == "nothing in it":
                (tmp_path / "store").unlink()
    work = lied_to(GOOD, files=(file,))
    assert refused(lambda: work.build([(ARREARS, memory)])).endswith("not a file of its own")


HIDING: Final = TableWanted(table=ARREARS, withheld=(False, True, False))
ROW: Final = [SUBJECTS[0], None, "true"]


@pytest.mark.parametrize(
    "tables",
    [
        [],
        [{"rows": [[SUBJECTS[1], None, "true"]], "withheld": [0, 1, 0]}],
        [{"rows": [[SUBJECTS[0], "1", "true"]], "withheld": [0, 1, 0]}],
        [{"rows": [ROW[:2]], "withheld": [0, 1, 0]}],
        [{"rows": [ROW], "withheld": [0, 1]}],
        [{"rows": [ROW], "withheld": [0, -1, 0]}],
    ],
    ids=["no table", "another subject", "what is withheld", "short row", "short count", "negative"],
)
def test_what_is_held_is_about_this_subject_and_without_what_is_withheld(
    tables: object, memory: int
) -> None:
    work = lied_to({"tables": tables, "values": []})
    order = About(subject=SUBJECTS[0], tables=(HIDING,), features=(), most_rows=10)
    assert refused(lambda: work.about(memory, order))


def test_the_check_of_a_feature_tells_its_author_what_is_wrong() -> None:
    work = children()
    assert work.check(LATE, [VAT]) is None
    told = work.check(feature(FeatureKind.FLAG, "late AND nothing"), [VAT])
    assert told is not None
    assert "nothing" in told
    told = work.check(feature(FeatureKind.FLAG, "late OR error('x')"), [VAT])
    assert told == "line 1 column 33: the function error is not listed"


def test_memory_that_is_no_store_is_told_as_damaged(memory: int) -> None:
    with pytest.raises(SafeRoomError) as caught:
        children().compute(memory, [ARREARS], [])
    assert caught.value.reason is Reason.STORE_DAMAGED
    assert not isinstance(caught.value, ChildError)
