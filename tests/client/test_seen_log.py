"""What a member remembers of the log: two processes write it, and a file can be broken or older."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saferoom_client.files import changing
from saferoom_client.seen_log import LogMemory, SeenLog, UnseenHead
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError

KEY = SigningKey.generate()
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def head(size: int) -> str:
    root = hashlib.sha256(b"%d" % size).digest()
    return sign_checkpoint(Checkpoint("room.example", size, root), KEY)


@pytest.fixture
def log(tmp_path: Path) -> LogMemory:
    return LogMemory(tmp_path / "log.json")


def test_a_head_is_kept_and_the_same_is_not_written_again(log: LogMemory) -> None:
    assert log.read() is None
    log.keep(head(3))
    assert log.read() == SeenLog(checkpoint=head(3))
    written = log.path.stat().st_ino
    log.keep(head(3))
    assert log.path.stat().st_ino == written


def test_a_process_that_is_late_takes_no_later_head_back(log: LogMemory) -> None:
    log.keep(head(9))
    log.keep(head(5))
    assert log.read() == SeenLog(checkpoint=head(9))
    # But for a handover of the log's key: the former one's heads are opened no more.
    log.go_over(head(7))
    assert log.read() == SeenLog(checkpoint=head(7))


def test_what_another_process_found_of_the_witnesses_stays(log: LogMemory) -> None:
    lacked = UnseenHead(checkpoint=head(4), since=SINCE)
    assert log.keep_unseen(head(4), None, lacked) == lacked
    # This one had judged before the other did, and knew of nothing that is lacked.
    assert log.keep_unseen(head(5), None, None) == lacked
    log.keep(head(6))
    assert log.read() == SeenLog(checkpoint=head(6), unseen=lacked)
    assert log.keep_unseen(head(6), lacked, None) is None
    assert log.read() == SeenLog(checkpoint=head(6))


def test_whoever_remembers_waits_for_another_process(log: LogMemory) -> None:
    waiting = threading.Thread(target=log.keep, args=(head(3),))
    with changing(log.path.parent):
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert log.read() is None
    waiting.join()
    assert log.read() == SeenLog(checkpoint=head(3))


@pytest.mark.parametrize("written", ["", "{", "[]", "{}", '{"checkpoint": "a note"}', "\xff"])
def test_a_broken_memory_is_named_with_what_to_do(log: LogMemory, written: str) -> None:
    log.path.write_text(written, "latin-1")
    for use in (log.read, lambda: log.keep(head(3))):
        with pytest.raises(SafeRoomError) as refused:
            use()
        assert refused.value.reason is Reason.BAD_CONFIG
        assert str(log.path) in refused.value.fields[0].field
        assert "Put the file back from a copy" in refused.value.__notes__[0]
    assert log.path.read_text("latin-1") == written


def test_the_memory_of_a_version_that_knew_no_witnesses_is_read(log: LogMemory) -> None:
    log.path.write_text(SeenLog(checkpoint=head(3)).model_dump_json(exclude={"unseen"}))
    assert log.read() == SeenLog(checkpoint=head(3))
