"""The enclave's database: durable, sealed, and telling when somebody meddled with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from saferoom_enclaves.rowform import pack, unpack
from saferoom_enclaves.state import State
from saferoom_enclaves.untouched import Untouched
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample

KEY = bytes(range(32))
FOUND = b"k" * 32


def opened(path: Path, key: bytes = KEY) -> State:
    state = State(path)
    state.open(key)
    return state


def made(path: Path) -> None:
    """Make a database with a row in two tables."""
    state = opened(path)
    with state.transaction():
        state.put("uses", FOUND, b"content")
        state.put("entry", 0, b"an entry")
    state.close()


def tampered(path: Path, *statements: str) -> Reason:
    """Alter a database while no enclave has it, and tell how opening it is refused."""
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    state = State(path)
    with pytest.raises(SafeRoomError) as error:
        state.open(KEY)
    state.close()
    return error.value.reason


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    made(tmp_path / "db")
    state = opened(tmp_path / "db")
    row = state.get("uses", FOUND)
    assert row is not None
    assert row.content == b"content"
    assert [(number, each.content) for number, each in state.numbered("entry")] == [
        (0, b"an entry")
    ]
    state.close()


def test_an_exception_undoes_the_whole_transaction(tmp_path: Path) -> None:
    state = opened(tmp_path / "db")
    marks = state.marks

    def fails() -> None:
        with state.transaction():
            state.put("uses", FOUND, b"content")
            state.marks = marks.with_epoch_begun()
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert state.marks == marks
    assert state.get("uses", FOUND) is None
    with state.transaction():
        state.put("uses", FOUND, b"content")
    state.close()
    again = opened(tmp_path / "db")
    assert again.get("uses", FOUND) is not None
    again.close()


def test_a_part_is_undone_by_itself(tmp_path: Path) -> None:
    state = opened(tmp_path / "db")

    def fails() -> None:
        with state.part():
            state.put("uses", b"j" * 32, b"undone")
            raise KeyError

    with state.transaction():
        state.put("uses", FOUND, b"kept")
        with pytest.raises(KeyError):
            fails()
    state.close()
    again = opened(tmp_path / "db")
    assert again.get("uses", FOUND) is not None
    assert again.get("uses", b"j" * 32) is None
    again.close()


def test_what_nothing_would_undo_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "db")
    state = opened(tmp_path / "db")
    with pytest.raises(SafeRoomError, match="outside of a transaction"):
        state.put("uses", b"j" * 32, b"content")
    with pytest.raises(SafeRoomError, match="outside of a transaction"):
        state.undoing(state.close)
    assert state.get("uses", b"j" * 32) is None
    state.close()


def test_nothing_of_a_row_can_be_read_from_the_file(tmp_path: Path) -> None:
    state = opened(tmp_path / "db")
    with state.transaction():
        state.put("uses", state.cipher.find("uses", "somebody"), b"a secret content")
    state.close()
    raw = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"secret" not in raw
    assert b"somebody" not in raw


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    made(tmp_path / "db")
    state = State(tmp_path / "db")
    with pytest.raises(SafeRoomError, match="STORE_DAMAGED"):
        state.open(bytes(32))
    state.open(KEY)
    state.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM uses",
        "UPDATE uses SET sealed = randomblob(length(sealed))",
        "INSERT INTO uses SELECT randomblob(32), sealed FROM uses",
        "INSERT INTO entry SELECT key + 1, sealed FROM entry",
        "UPDATE entry SET key = 7",
        "DELETE FROM marks",
        "UPDATE marks SET position = replace(position, '\"index\":0', '\"index\":9')",
    ],
)
def test_rows_that_were_dropped_added_or_altered_are_noticed(
    tmp_path: Path, statement: str
) -> None:
    made(tmp_path / "db")
    assert tampered(tmp_path / "db", statement) is Reason.STORE_ROLLED_BACK


def test_an_old_row_put_back_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "db"
    made(path)
    with sqlite3.connect(path) as database:
        (old,) = database.execute("SELECT hex(sealed) FROM uses").fetchone()
    database.close()
    state = opened(path)
    with state.transaction():
        state.put("uses", FOUND, b"newer", state.get("uses", FOUND))
    state.close()
    assert tampered(path, f"UPDATE uses SET sealed = x'{old}'") is Reason.STORE_ROLLED_BACK


def behind_its_back(path: Path, statement: str) -> None:
    """Alter the database of an enclave that runs, as who may write to its folder needs no lock."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    with sqlite3.connect(copy) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute(statement)
    database.close()
    # The kernel's clock ticks every few milliseconds.
    tick, before = path.with_name("tick"), path.stat().st_ctime_ns
    while tick.touch() or tick.stat().st_ctime_ns <= before:
        pass
    with path.open("r+b") as file:
        file.write(copy.read_bytes())


def running(path: Path) -> tuple[State, str]:
    """Give a database that is open, all of it in one file; and how a row was sealed before."""
    state = opened(path)
    with state.transaction():
        state.put("uses", FOUND, b"content")
    row = state.get("uses", FOUND)
    assert row is not None
    with state.transaction():
        state.put("uses", FOUND, b"newer", row)
    state.forget_replaced()
    return state, row.sealed.hex()


@pytest.mark.parametrize("statement", ["DELETE FROM uses", "UPDATE uses SET sealed = x'{old}'"])
def test_rows_that_are_dropped_or_put_back_while_it_runs_are_noticed_at_once(
    tmp_path: Path, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, old = running(tmp_path / "db")
    behind_its_back(tmp_path / "db", statement.format(old=old))
    for _ in range(2):
        with pytest.raises(SafeRoomError, match="STORE_ROLLED_BACK"), state.transaction():
            state.put("entry", 0, b"charged anew")
    # Where nobody looked, the row would be gone, and what is charged begun anew.
    monkeypatch.setattr(Untouched, "look", found_untouched)
    row = state.get("uses", FOUND)
    assert row is None or row.content == b"content"
    with state.transaction():
        state.put("entry", 0, b"charged anew")
    state.close()


def found_untouched(_: Untouched) -> None:
    """Look away."""


def test_what_was_read_while_somebody_wrote_counts_for_nothing(tmp_path: Path) -> None:
    state, _ = running(tmp_path / "db")

    def charge() -> None:
        with state.transaction():
            state.put("entry", 0, b"charged")
            # Gone, and back again, before it is committed.
            behind_its_back(tmp_path / "db", "SELECT 1")

    with pytest.raises(SafeRoomError, match="UNAVAILABLE"):
        charge()
    assert state.get("entry", 0) is None
    # All rows are as they were, so it goes on; and so it does after a change that alters none.
    (tmp_path / "db").chmod(0o640)
    with state.transaction():
        state.put("entry", 0, b"charged")
    state.close()
    state = opened(tmp_path / "db")
    assert state.get("entry", 0) is not None
    state.close()


def test_an_altered_row_does_not_open(tmp_path: Path) -> None:
    made(tmp_path / "db")
    state = opened(tmp_path / "db")
    row = state.get("uses", FOUND)
    assert row is not None
    for table, key in (("uses", b"j" * 32), ("leakage", FOUND)):
        with pytest.raises(SafeRoomError, match="STORE_DAMAGED"):
            state.cipher.open(table, key, row.sealed)
    state.close()


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database" * 1000)
    with pytest.raises(SafeRoomError, match="STORE_DAMAGED"):
        State(tmp_path / "db")


def test_two_enclaves_do_not_open_one_folder(tmp_path: Path) -> None:
    first = opened(tmp_path / "db")
    with pytest.raises(SafeRoomError, match="CONFLICT"):
        State(tmp_path / "db")
    first.close()
    opened(tmp_path / "db").close()


def test_a_transaction_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "db"
    made(path)
    state = opened(path)
    with state.transaction():
        assert state.get("uses", FOUND) is not None
    state.close()
    wal = tmp_path / "db-wal"
    assert not wal.exists() or wal.stat().st_size == 0


def test_what_is_packed_comes_apart_in_one_way() -> None:
    assert unpack(pack(b"ab", b"", b"c"), 3) == [b"ab", b"", b"c"]
    assert pack(b"ab", b"c") != pack(b"a", b"bc")
    for wrong in (pack(b"ab")[:-1], pack(b"ab") + b"\0", pack(b"ab", b"c")):
        with pytest.raises(SafeRoomError, match="STORE_DAMAGED"):
            unpack(wrong, 1)


def test_an_enclave_whose_folder_was_put_back_claims_its_old_place(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.enclave.close()
    copy = enclave.folder / "state.db"
    old = copy.read_bytes()
    enclave.restart()
    length = enclave.enclave.whereabouts().chain_length
    assert enclave.ask(room.question()).truth is Truth.YES
    enclave.enclave.close()
    copy.write_bytes(old)
    enclave.restart(follow=False)
    # Its own files fit together; that they are old is for the key agent, who knows the last place.
    assert enclave.enclave.whereabouts().chain_length == length
