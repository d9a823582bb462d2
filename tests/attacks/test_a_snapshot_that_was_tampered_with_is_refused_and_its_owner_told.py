"""Whoever has the disk alters, swaps, cuts or replaces an owner's sealed snapshot.

The enclave answers from none of it, and what the owner sees of its enclave names the rule that the
file broke; then the owner goes back to an earlier snapshot, or loads again, and answers go on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from saferoom_enclaves import vault
from saferoom_enclaves.vault import snapshot_path
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Snapshot, load
from simulator import EnclaveHarness, Sample, tax_csv
from simulator.sample import court_csv
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.live import succeeds
from tests.flow.offers import APPROVERS, STEADY

HEADER: Final = 66
CHUNK: Final = 4096  # so that a small store has many chunks
SEALED: Final = CHUNK + 16
DAMAGED, ROLLED_BACK = Reason.STORE_DAMAGED, Reason.STORE_ROLLED_BACK


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def swapped(data: bytes) -> bytes:
    one, two = (data[HEADER + at * SEALED : HEADER + (at + 1) * SEALED] for at in (0, 1))
    return data[:HEADER] + two + one + data[HEADER + 2 * SEALED :]


def last_dropped(data: bytes) -> bytes:
    return data[: HEADER + (len(data) - HEADER - 1) // SEALED * SEALED]


ATTACKS: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "a flipped bit": (
        lambda data: flipped(data, HEADER + SEALED + 7),
        f"{DAMAGED}: chunk 1 does not authenticate",
    ),
    "two chunks swapped": (swapped, f"{DAMAGED}: chunk 0 does not authenticate"),
    "cut short": (
        lambda data: data[:-1],
        f"{DAMAGED}: the file's length does not fit its header",
    ),
    "the last chunk dropped": (
        last_dropped,
        f"{DAMAGED}: the file's length does not fit its header",
    ),
    "bytes appended": (
        lambda data: data + bytes(SEALED),
        f"{DAMAGED}: the file's length does not fit its header",
    ),
    "the epoch edited": (
        lambda data: data[:10] + (9).to_bytes(8, "big") + data[18:],
        f"{DAMAGED}: the file is of epoch 9, not 2",
    ),
    "nothing left": (lambda _: b"", f"{DAMAGED}: the file is shorter than a header"),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "CHUNK_BYTES", CHUNK)


def outcome(enclave: EnclaveHarness, room: Sample) -> Truth | Reason | None:
    try:
        verdict = enclave.ask(room.question(1))
    except SafeRoomError as refusal:
        return refusal.reason
    return verdict.truth or verdict.reason


def told_of(
    enclave: EnclaveHarness, room: Sample, planted: Callable[[bytes], bytes]
) -> tuple[str, Truth | Reason | None]:
    """Put one made of the newest file in its place; give what owner and banks are told."""
    first = enclave.enclave.store
    assert first is not None
    enclave.load({"firms": tax_csv(room.world)})
    enclave.follow()
    assert enclave.enclave.whereabouts().store_fault == ""
    whole = snapshot_path(enclave.folder, 2).read_bytes()
    assert len(whole) > HEADER + 3 * SEALED
    snapshot_path(enclave.folder, 2).write_bytes(planted(whole))
    enclave.restart()
    assert not enclave.enclave.whereabouts().has_data
    told = enclave.enclave.whereabouts().store_fault, outcome(enclave, room)
    # The owner's way out: an earlier snapshot, by an order of its own.
    entry = enclave.roll_back(enclave.rollback_order(first.digest))
    assert load(entry.statement, Snapshot).store.epoch == 3
    assert enclave.enclave.whereabouts().store_fault == ""
    assert outcome(enclave, room) is Truth.YES
    return told


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_not_answered_from_and_the_rule_is_told(
    enclave: EnclaveHarness, room: Sample, attack: str
) -> None:
    planted, rule = ATTACKS[attack]
    assert told_of(enclave, room, planted) == (rule, DAMAGED)


def test_an_earlier_snapshot_in_its_place_is_told_as_that(
    enclave: EnclaveHarness, room: Sample
) -> None:
    earlier = snapshot_path(enclave.folder, 1).read_bytes()
    rule = f"{ROLLED_BACK}: the file is of epoch 1, not 2"
    assert told_of(enclave, room, lambda _: earlier) == (rule, ROLLED_BACK)


def test_another_snapshot_of_the_same_epoch_is_told_as_that(
    enclave: EnclaveHarness, room: Sample, tmp_path: Path
) -> None:
    # The owner's own enclave sealed it, in a copy of its folder: the chain knows another.
    copy = EnclaveHarness(room.tax, tmp_path / "copy", start=False)
    copy.close()
    shutil.copytree(enclave.folder, copy.folder, dirs_exist_ok=True)
    copy.restart()
    copy.load({"firms": tax_csv(room.world)})
    planted = snapshot_path(copy.folder, 2).read_bytes()
    copy.close()
    rule = f"{ROLLED_BACK}: the file's digest is not the ledger's"
    assert told_of(enclave, room, lambda _: planted) == (rule, ROLLED_BACK)


def test_another_owners_snapshot_is_refused(
    enclave: EnclaveHarness, room: Sample, tmp_path: Path
) -> None:
    court = EnclaveHarness(room.court, tmp_path / "court")
    for _ in range(2):
        court.load({"judgments": court_csv(room.world)})
    theirs = snapshot_path(court.folder, 2).read_bytes()
    court.close()
    rule = f"{DAMAGED}: chunk 0 does not authenticate"
    assert told_of(enclave, room, lambda _: theirs) == (rule, DAMAGED)


def as_owner(live: SmallRoom, *arguments: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "saferoom_client", *arguments, "--json"],
        env={**os.environ, "SAFEROOM_PROFILE": str(live.member("tax", APPROVERS[0]))},
        capture_output=True,
        check=True,
    )
    return json.loads(run.stdout)


def fault(live: SmallRoom) -> str:
    (enclave,) = as_owner(live, "room", "status")["enclaves"]
    return str(enclave["fault"])


def answer(live: SmallRoom) -> Truth:
    with live.open("bank-a", "desk") as room:
        params = {"least": "5000"}
        return room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params).truth


@pytest.mark.soak
def test_the_owner_of_a_room_is_told_by_its_command_line(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        assert answer(live) is Truth.YES
        assert fault(live) == ""
        live.processes.stop()
        path = snapshot_path(live.room / "enclaves" / "tax", 1)
        path.write_bytes(flipped(path.read_bytes(), HEADER + 100))
        live.start_server()
        live.start_agent("tax")
        live.processes.wait_for(live.answers, "the server does not answer")
        told = f"{DAMAGED}: chunk 0 does not authenticate"
        live.processes.wait_for(lambda: succeeds(lambda: told_is(live, told)), "nobody is told")
        with pytest.raises(SafeRoomError) as refused:
            answer(live)
        assert refused.value.reason is DAMAGED
        live.load()
        live.processes.wait_for(lambda: succeeds(lambda: told_is(live, "")), "still told")
        assert answer(live) is Truth.YES


def told_is(live: SmallRoom, rule: str) -> None:
    if fault(live) != rule:
        raise SafeRoomError(Reason.UNAVAILABLE, "not told yet")
