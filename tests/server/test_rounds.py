"""Rounds of cosignatures beside a real ledger, by a clock that is set and keys that are changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from saferoom.ledger.ledger import Ledger
from saferoom.rounds import Cosignature, Rounds
from saferoom.state.database import Database
from saferoom_proto.checkpoint import MAX_SIGNATURES, Checkpoint, Note
from saferoom_proto.cosignature import Algorithm, Cosigner
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.server.ledger.made_up import KEY, NOON, consent, open_ledger


class Clock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    with Database.open(tmp_path / "room.db") as database:
        async with await open_ledger(database) as ledger:
            await ledger.append(consent(0))
            yield ledger


async def hand_in(rounds: Rounds, who: str, cosigner: Cosigner, clock: Clock) -> None:
    head = Checkpoint.parse(Note.parse(rounds.to_cosign()).text)
    line = cosigner.cosign(head, int(clock.now.timestamp()))
    await rounds.add(who, head.size, Cosignature(cosigner.key, line))


def cosigner(number: int) -> Cosigner:
    return Cosigner.generate(f"w{number}.example", Algorithm.ED25519)


async def test_a_clock_that_is_set_back_keeps_no_witness_waiting(
    ledger: Ledger, tmp_path: Path
) -> None:
    clock, witness = Clock(), cosigner(1)
    rounds = Rounds(ledger, tmp_path / "cosigned.json", clock, timedelta(seconds=5))
    await hand_in(rounds, "bank", witness, clock)
    clock.now -= timedelta(hours=1)
    await ledger.append(consent(1))
    assert rounds.to_cosign() == ledger.checkpoint()
    await hand_in(rounds, "bank", witness, clock)
    assert len(rounds.notes()) == 1


async def test_a_note_that_two_keys_of_the_log_signed_is_never_too_long(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.sign_with(KEY, SigningKey.generate())
    await ledger.append(consent(1))
    clock = Clock()
    rounds = Rounds(ledger, tmp_path / "cosigned.json", clock, timedelta(seconds=5))
    for number in range(MAX_SIGNATURES - 2):
        await hand_in(rounds, f"bank-{number}", cosigner(number), clock)
    with pytest.raises(SafeRoomError) as refusal:
        await hand_in(rounds, "one-more", cosigner(MAX_SIGNATURES), clock)
    assert refusal.value.reason is Reason.CONFLICT
    assert [len(Note.parse(each).signatures) for each in rounds.notes()] == [MAX_SIGNATURES]
    assert rounds.published() == rounds.notes()[0]
