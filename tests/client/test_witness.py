"""A witness cosigns a log that only grows, and says loudly what else it is shown."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.issuer import Issuer
from saferoom_client.profile import Profile
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.witness.folder import EVIDENCE, FIGURES, KEY, SEEN, Evidence, Misdeed, Witness
from saferoom_client.witness.watch import CaughtError, look, watch
from saferoom_proto.checkpoint import Checkpoint, Note, open_checkpoint, sign_checkpoint
from saferoom_proto.cosignature import Algorithm
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.fakeroom import Said, serving
from tests.client.made import make_profile


@pytest.fixture
async def profile(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[Profile]:
    async with serving(said, issuer) as card:
        yield make_profile(tmp_path / "bank", said.case, issuer, card)


@pytest.fixture(params=list(Algorithm))
def witness(request: pytest.FixtureRequest, profile: Profile, tmp_path: Path) -> Witness:
    """Give a witness of the room's log, of either kind."""
    return Witness.create(tmp_path / "witness", "bank.example/w", request.param, profile.card)


@pytest.fixture
async def session(said: Said, profile: Profile) -> AsyncIterator[Session]:
    async with Session(profile, clock=said.case.world.now) as opened:
        yield opened


def grow(said: Said, name: str = "another") -> Checkpoint:
    world = said.case.world
    world.ledger.record(world.bank("bank-b").template(name, "tax.vat_paid >= 1000"))
    return world.ledger.checkpoint()


def shown(said: Said, head: Checkpoint, key: SigningKey | None = None) -> None:
    said.to_cosign = sign_checkpoint(head, key or said.case.world.ledger.key)


async def caught(session: Session, witness: Witness, misdeed: Misdeed) -> Evidence:
    """The witness says which misdeed it was shown, keeps the evidence, and cosigns nothing."""
    before = (witness.folder / SEEN).read_bytes()
    with pytest.raises(CaughtError) as refused:
        await look(session, witness)
    assert str(misdeed) in refused.value.detail
    assert (witness.folder / SEEN).read_bytes() == before
    (path,) = witness.evidence()
    evidence = Evidence.model_validate_json(path.read_bytes())
    assert evidence.misdeed is misdeed
    assert str(path) in refused.value.__notes__[0]
    return evidence


async def test_a_log_that_only_grows_is_cosigned_again_and_again(
    said: Said, session: Session, witness: Witness
) -> None:
    first = await look(session, witness)
    head = grow(said)
    second = await look(session, witness)
    third = await look(session, witness)
    assert (second.checkpoint, second.grown, third.grown) == (head, 1, 0)
    assert [each.size for each in said.words] == [first.checkpoint.size, head.size, head.size]
    for word, checkpoint in zip(said.words, (first.checkpoint, head, head), strict=True):
        assert word.key == witness.cosigner.key.text
        note = sign_checkpoint(checkpoint, said.case.world.ledger.key) + word.line
        witness.cosigner.key.verify(Note.parse(note).signatures[-1], checkpoint)


async def test_a_log_that_was_cut_is_caught(said: Said, session: Session, witness: Witness) -> None:
    shorter = said.case.world.ledger.checkpoint()
    grow(said)
    await look(session, witness)
    shown(said, shorter)
    await caught(session, witness, Misdeed.TRUNCATED)


async def test_a_log_that_was_rewritten_is_caught_whatever_proof_comes_with_it(
    said: Said, session: Session, witness: Witness
) -> None:
    seen = (await look(session, witness)).checkpoint
    head = grow(said)
    shown(said, replace(head, root=bytes(32)))
    evidence = await caught(session, witness, Misdeed.REWRITTEN)
    said.consistency = lambda size1, size2: ()
    with pytest.raises(CaughtError):
        await look(session, witness)
    # Whoever holds the room's key sees that it signed both, and that nothing joins them.
    key = VerifyKey.from_public(evidence.ledger_key)
    assert open_checkpoint(evidence.seen, evidence.origin, key) == seen
    assert open_checkpoint(evidence.shown, evidence.origin, key).size == head.size


async def test_a_second_log_of_the_same_size_is_caught(
    said: Said, session: Session, witness: Witness
) -> None:
    head = (await look(session, witness)).checkpoint
    shown(said, replace(head, root=bytes(32)))
    await caught(session, witness, Misdeed.FORKED)


async def test_a_head_by_another_key_is_caught(
    said: Said, session: Session, witness: Witness
) -> None:
    await look(session, witness)
    shown(said, said.case.world.ledger.checkpoint(), SigningKey.generate())
    await caught(session, witness, Misdeed.NOT_SIGNED)


async def test_what_was_caught_once_is_kept_once_and_stays_when_all_is_well_again(
    said: Said, session: Session, witness: Witness
) -> None:
    head = (await look(session, witness)).checkpoint
    shown(said, replace(head, root=bytes(32)))
    for _ in range(3):
        await caught(session, witness, Misdeed.FORKED)
    said.to_cosign = None
    await look(session, witness)
    assert len(witness.evidence()) == 1


async def test_what_was_seen_is_stored_before_it_is_cosigned(
    said: Said, session: Session, witness: Witness
) -> None:
    """Killed between the two, a witness has said nothing that it does not know of."""
    said.refusal = SafeRoomError(Reason.UNAVAILABLE)
    with pytest.raises(Refused):
        await look(session, witness)
    assert not said.words
    # As a member's log.json: an operator who restores a room is shown it (--seen).
    assert json.loads((witness.folder / SEEN).read_text()).keys() == {"checkpoint"}
    again = Witness.load(witness.folder)
    assert again.seen_checkpoint == said.case.world.ledger.checkpoint()
    said.refusal = None
    head = grow(said)
    assert (await look(session, again)).checkpoint == head
    shown(said, replace(head, size=head.size - 1))
    await caught(session, again, Misdeed.TRUNCATED)


async def test_a_witness_killed_before_its_word_is_taken_goes_on_from_what_it_stored(
    said: Said, session: Session, profile: Profile, witness: Witness
) -> None:
    """A real process, killed between storing and the room's reply."""
    said.takes = asyncio.Event()
    words = ["witness", "run", str(witness.folder), "-p", str(profile.folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "saferoom_client", *words, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while "AddCosignature" not in said.calls:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.05)
        with pytest.raises(SafeRoomError, match="another process"), witness.alone():
            pass
    finally:
        process.kill()
        await process.wait()
    assert witness.seen_checkpoint == said.case.world.ledger.checkpoint()
    said.takes.set()
    head = grow(said)
    with witness.alone():
        assert (await look(session, witness)).checkpoint == head
    shown(said, replace(head, root=bytes(32)))
    await caught(session, witness, Misdeed.FORKED)


async def test_a_watching_witness_ends_when_the_room_is_caught(
    said: Said, profile: Profile, witness: Witness
) -> None:
    head = grow(said)
    async with Session(profile, clock=said.case.world.now) as session:
        await look(session, witness)
    shown(said, replace(head, root=bytes(32)))
    with pytest.raises(CaughtError):
        await watch(witness, profile, clock=said.case.world.now)
    figures = (witness.folder / FIGURES).read_text()
    assert f'saferoom_witness_misdeeds{{origin="{said.case.world.room}"}} 1' in figures


async def test_two_processes_do_not_watch_with_one_folder(witness: Witness) -> None:
    with witness.alone(), pytest.raises(SafeRoomError) as refused, witness.alone():
        pass
    assert refused.value.reason is Reason.BAD_CONFIG


async def test_a_witnesss_key_is_its_own(witness: Witness, profile: Profile) -> None:
    key = witness.folder / KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(witness.folder.stat().st_mode) == 0o700
    with pytest.raises(SafeRoomError, match="there already"):
        Witness.create(witness.folder, "again.example", Algorithm.ED25519, profile.card)
    key.chmod(0o644)
    with pytest.raises(SafeRoomError, match="others may use it"):
        Witness.load(witness.folder)
    key.chmod(0o600)
    key.write_bytes(b"nonsense")
    with pytest.raises(SafeRoomError, match=r"witness\.key"):
        Witness.load(witness.folder)


async def test_show_tells_what_was_seen_and_caught(
    said: Said, session: Session, witness: Witness
) -> None:
    head = (await look(session, witness)).checkpoint
    told = CliRunner().invoke(app, ["witness", "show", str(witness.folder), "--json"])
    assert (told.exit_code, json.loads(told.stdout)["size"]) == (0, head.size)
    shown(said, replace(head, root=bytes(32)))
    await caught(session, witness, Misdeed.FORKED)
    told = CliRunner().invoke(app, ["witness", "show", str(witness.folder)])
    assert told.exit_code == 3
    assert str(witness.folder / EVIDENCE) in told.stdout


async def test_a_witness_of_another_room_watches_nothing(
    said: Said, profile: Profile, tmp_path: Path
) -> None:
    del said
    card = profile.card.model_copy(update={"origin": "other.example/room"})
    Witness.create(tmp_path / "w", "bank.example/w", Algorithm.ED25519, card)
    command = ["witness", "run", str(tmp_path / "w"), "-p", str(profile.folder), "--once"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 1
    assert "another room" in ran.output


async def test_a_room_that_shows_nothing_to_cosign_is_not_accused(
    said: Said, session: Session, witness: Witness
) -> None:
    said.to_cosign = ""
    with pytest.raises(Refused) as refused:
        await look(session, witness)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert witness.evidence() == []
