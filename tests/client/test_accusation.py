"""A witness's evidence, judged by whoever holds the room's card: a witness can lie too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.cli.witness import CAUGHT
from saferoom_client.files import write_model
from saferoom_client.issuer import Issuer
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.witness.accusation import Verdict, judge
from saferoom_client.witness.folder import Evidence, Misdeed
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.fakeroom import Said, serving
from tests.client.made import make_profile


@pytest.fixture
async def session(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[Session]:
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        async with Session(profile, clock=said.case.world.now) as opened:
            yield opened


def heads(said: Said) -> tuple[Checkpoint, Checkpoint]:
    """Give a head, and the one after the log has grown."""
    world = said.case.world
    before = world.ledger.checkpoint()
    world.ledger.record(world.bank("bank-b").template("another", "tax.vat_paid >= 1000"))
    return before, world.ledger.checkpoint()


def accused(
    said: Said,
    misdeed: Misdeed,
    seen: Checkpoint,
    shown: Checkpoint,
    key: SigningKey | None = None,
) -> Evidence:
    ledger = said.case.world.ledger
    return Evidence(
        misdeed=misdeed,
        what="said by a witness",
        origin=seen.origin,
        ledger_key=ledger.key.verify_key.public,
        seen=sign_checkpoint(seen, ledger.key),
        shown=sign_checkpoint(shown, key or ledger.key),
        proof=("00" * 32,),
    )


async def test_two_logs_of_one_size_are_proof_without_the_room(
    said: Said, session: Session
) -> None:
    head, _ = heads(said)
    other = replace(head, root=bytes(32))
    said.consistency = lambda size1, size2: pytest.fail("the room was asked")
    judged = await judge(session, accused(said, Misdeed.FORKED, head, other))
    assert judged.verdict is Verdict.PROVEN
    judged = await judge(session, accused(said, Misdeed.FORKED, head, head))
    assert judged.verdict is Verdict.REFUTED


@pytest.mark.parametrize("misdeed", [Misdeed.REWRITTEN, Misdeed.TRUNCATED])
async def test_a_witness_that_shows_honest_heads_beside_a_made_up_proof_is_refuted(
    said: Said, session: Session, misdeed: Misdeed
) -> None:
    before, after = heads(said)
    order = (before, after) if misdeed is Misdeed.REWRITTEN else (after, before)
    judged = await judge(session, accused(said, misdeed, *order))
    assert judged.verdict is Verdict.REFUTED


async def test_a_room_that_cannot_join_what_it_signed_is_convicted(
    said: Said, session: Session
) -> None:
    before, after = heads(said)
    rewritten = replace(after, root=bytes(32))
    judged = await judge(session, accused(said, Misdeed.REWRITTEN, before, rewritten))
    assert judged.verdict is Verdict.PROVEN
    # Cut below a head that it signed, it knows no such size any more.
    longer = replace(after, size=after.size + 5)
    said.refusal = SafeRoomError(Reason.MALFORMED)
    judged = await judge(session, accused(said, Misdeed.TRUNCATED, longer, before))
    assert judged.verdict is Verdict.PROVEN


async def test_a_room_that_does_not_answer_is_not_convicted(said: Said, session: Session) -> None:
    before, after = heads(said)
    said.refusal = SafeRoomError(Reason.TOO_MANY_REQUESTS)
    with pytest.raises(Refused) as refused:
        await judge(session, accused(said, Misdeed.REWRITTEN, before, after))
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS


async def test_the_command_line_tells_the_verdict_and_ends_with_it(
    said: Said, session: Session, tmp_path: Path
) -> None:
    head, later = heads(said)
    for other, status, word in (
        (replace(head, root=bytes(32)), CAUGHT, "proven: "),
        (later, 0, "refuted: "),
    ):
        file = tmp_path / f"{status}.json"
        write_model(file, accused(said, Misdeed.FORKED, head, other))
        command = ["witness", "judge", str(file), "-p", str(session.profile.folder)]
        told = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert (told.exit_code, told.stdout[: len(word)]) == (status, word), told.output


async def test_what_the_room_did_not_sign_proves_nothing(said: Said, session: Session) -> None:
    before, after = heads(said)
    forged = accused(said, Misdeed.FORKED, before, after, SigningKey.generate())
    assert (await judge(session, forged)).verdict is Verdict.UNPROVEN
    unsigned = accused(said, Misdeed.NOT_SIGNED, before, after, SigningKey.generate())
    assert (await judge(session, unsigned)).verdict is Verdict.UNPROVEN
    elsewhere = forged.model_copy(update={"origin": "other.example/room"})
    with pytest.raises(SafeRoomError) as refused:
        await judge(session, elsewhere)
    assert refused.value.reason is Reason.BAD_CONFIG
