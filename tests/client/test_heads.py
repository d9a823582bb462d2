"""Whoever pinned witnesses is told nothing that rests on a log they did not cosign."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.aio import AsyncRoom
from saferoom_client.cli import app
from saferoom_client.issuer import Issuer
from saferoom_client.profile import Profile
from saferoom_proto.answer import Truth
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.cosignature import Algorithm, Cosigner
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.witnesses import WitnessPolicy
from simulator.ledger import SimLedger
from simulator.seeds import Seeds
from tests.client.fakeroom import Said, serving
from tests.client.made import make_profile
from tests.client.test_check import asked

WITNESSES = [
    Cosigner.generate("bank.example/w", Algorithm.ED25519),
    Cosigner.generate("owner.example/w", Algorithm.ML_DSA_44),
    Cosigner.generate("auditor.example/w", Algorithm.ML_DSA_44),
]
AGE = 60


def two_of_three() -> WitnessPolicy:
    keys = tuple(each.key.text for each in WITNESSES)
    return WitnessPolicy(threshold=2, witnesses=keys, max_age_seconds=AGE)


@dataclass
class Relying:
    """A bank that relies on two of three witnesses, and its room."""

    room: AsyncRoom
    said: Said

    def cosign(self, *which: int, head: Checkpoint | None = None, ago: int = 0) -> None:
        """Show a head, the log's own if none is given, with some witnesses' words."""
        ledger = self.said.case.world.ledger
        head = head or ledger.checkpoint()
        time = int(self.said.case.world.now().timestamp()) - ago
        lines = [WITNESSES[each].cosign(head, time) for each in which]
        self.said.cosigned = [sign_checkpoint(head, ledger.key) + "".join(lines)]

    async def reason(self) -> Reason:
        """Ask a question; give why its answer is not told."""
        with pytest.raises(SafeRoomError) as refused:
            await asked(self.room, self.said)
        return refused.value.reason

    def forget(self) -> None:
        """Let as much time pass that the log is held against the witnesses' word again."""
        self.room.reliance.due = 0.0


@pytest.fixture
async def relying(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[Relying]:
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        profile.rely_on(two_of_three())
        async with AsyncRoom(profile, clock=said.case.world.now) as room:
            yield Relying(room, said)


async def test_an_answer_is_told_when_two_of_three_cosigned_what_it_extends(
    relying: Relying,
) -> None:
    relying.cosign(0, 2)
    await asked(relying.room, relying.said)
    calls = relying.said.calls.count("GetCheckpoint")
    await asked(relying.room, relying.said)
    assert relying.said.calls.count("GetCheckpoint") == calls == 1


async def test_without_witnesses_a_check_costs_no_call_more(room: AsyncRoom, said: Said) -> None:
    await asked(room, said)
    assert not {"GetCheckpoint", "GetConsistency"} & set(said.calls)


@pytest.mark.parametrize("which", [(), (0,), (2,)])
async def test_too_few_witnesses_are_not_enough(relying: Relying, which: tuple[int, ...]) -> None:
    relying.cosign(*which)
    assert await relying.reason() is Reason.NOT_WITNESSED
    relying.said.cosigned = []
    assert await relying.reason() is Reason.NOT_WITNESSED


async def test_words_of_long_ago_are_not_enough(relying: Relying) -> None:
    relying.cosign(0, 1, 2, ago=AGE + 1)
    assert await relying.reason() is Reason.NOT_WITNESSED
    relying.cosign(0, 1, 2, ago=AGE - 1)
    await asked(relying.room, relying.said)


async def test_an_older_note_is_taken_where_the_newer_one_has_too_few(relying: Relying) -> None:
    relying.cosign(0, 1)
    (enough,) = relying.said.cosigned
    relying.cosign(2)
    relying.said.cosigned.append(enough)
    assert (await asked(relying.room, relying.said)).truth is Truth.YES


async def test_a_log_of_its_own_shown_to_one_member_is_noticed(relying: Relying) -> None:
    """Split view: the witnesses cosigned another log than the one that answers stand in."""
    world = relying.said.case.world
    public = SimLedger(world.room, world.ledger.key, Seeds("public"))
    for number in range(world.ledger.size):
        public.append(b"public %d" % number)
    relying.cosign(0, 1, 2, head=public.checkpoint())
    assert await relying.reason() is Reason.BAD_PROOF


async def test_a_log_that_parts_from_the_witnessed_one_later_is_noticed(relying: Relying) -> None:
    relying.cosign(0, 1, 2)
    await asked(relying.room, relying.said)
    head = relying.said.case.world.ledger.checkpoint()
    relying.cosign(0, 1, 2, head=replace(head, size=head.size + 5, root=bytes(32)))
    relying.forget()
    assert await relying.reason() is Reason.BAD_PROOF


async def test_a_head_by_a_forged_witness_is_refused(relying: Relying) -> None:
    relying.cosign(0, 1)
    (note,) = relying.said.cosigned
    relying.said.cosigned = [note[:-8] + ("A" if note[-8] != "A" else "B") + note[-7:]]
    assert await relying.reason() is Reason.BAD_SIGNATURE


async def test_every_head_that_was_met_is_held_against_the_log(relying: Relying) -> None:
    """One answer from another log is noticed although a later one is from the log again."""
    relying.cosign(0, 1, 2)
    await asked(relying.room, relying.said)
    world = relying.said.case.world
    head = world.ledger.checkpoint()
    relying.room.grounds.open_note(
        sign_checkpoint(replace(head, size=head.size + 1, root=bytes(32)), world.ledger.key)
    )
    for name in ("a", "b"):
        world.ledger.record(world.bank("bank-b").template(name, "tax.vat_paid >= 1000"))
    relying.room.grounds.open_note(world.ledger.note())
    relying.cosign(0, 1, 2)
    relying.forget()
    assert await relying.reason() is Reason.BAD_PROOF


async def test_witnesses_that_are_kept_at_an_old_log_are_not_enough(relying: Relying) -> None:
    """They cosign afresh what both logs of a room begin with, and this member is told the rest."""
    world, profile = relying.said.case.world, relying.room.profile
    old = world.ledger.checkpoint()
    world.ledger.append(b"what this member alone is shown")
    relying.cosign(0, 1, 2, head=old)
    await asked(relying.room, relying.said)
    world.clock.advance(AGE + 1)
    world.ledger.append(b"more")
    relying.cosign(0, 1, 2, head=old)
    relying.forget()
    assert await relying.reason() is Reason.NOT_WITNESSED
    # In another session, too.
    async with AsyncRoom(Profile.load(profile.folder), clock=world.now) as later:
        with pytest.raises(SafeRoomError) as refused:
            await later.verify_log()
        assert refused.value.reason is Reason.NOT_WITNESSED
        # Once they have seen the rest, it is told again.
        relying.cosign(0, 1, 2)
        assert (await later.verify_log()).witnessed is not None
    seen = profile.log.read()
    assert seen is not None
    assert seen.unseen is None


async def test_what_was_noted_by_a_clock_ahead_counts_from_now(relying: Relying) -> None:
    world, log = relying.said.case.world, relying.room.profile.log
    old = world.ledger.checkpoint()
    world.ledger.append(b"what this member alone is shown")
    world.clock.advance(10 * AGE)
    relying.cosign(0, 1, 2, head=old)
    await relying.room.verify_log()
    world.clock.advance(-10 * AGE)  # it had been set wrongly
    relying.cosign(0, 1, 2, head=old)
    await relying.room.verify_log()
    seen = log.read()
    assert seen is not None
    assert seen.unseen is not None
    assert seen.unseen.since <= world.now()
    world.clock.advance(AGE + 1)
    relying.cosign(0, 1, 2, head=old)
    with pytest.raises(SafeRoomError) as refused:
        await relying.room.verify_log()
    assert refused.value.reason is Reason.NOT_WITNESSED


async def test_a_memory_that_the_rooms_key_did_not_sign_accuses_nobody(relying: Relying) -> None:
    world, log = relying.said.case.world, relying.room.profile.log
    relying.cosign(0, 1, 2)
    log.keep(sign_checkpoint(world.ledger.checkpoint(), SigningKey.generate()))
    with pytest.raises(SafeRoomError) as refused:
        await relying.room.verify_log()
    assert refused.value.reason is Reason.BAD_CONFIG
    assert [each.field for each in refused.value.fields] == [str(log.path)]
    assert any("Put the file back" in each for each in refused.value.__notes__)


async def test_verifying_the_log_tells_who_cosigned_it(relying: Relying) -> None:
    relying.cosign(0, 2)
    report = await relying.room.verify_log()
    assert report.witnessed is not None
    told = {each.witness for each in report.witnessed.by}
    assert told == {"bank.example/w", "auditor.example/w"}


async def test_witnesses_are_pinned_by_keys_and_by_files_and_let_go(
    relying: Relying, tmp_path: Path
) -> None:
    folder = relying.room.profile.folder
    file = tmp_path / "witness.pub"
    file.write_text(f"{WITNESSES[1].key.text}\n")

    def trust(*words: str) -> tuple[int, str]:
        ran = CliRunner().invoke(app, ["trust", *words, "-p", str(folder), "--json"])
        return ran.exit_code, ran.output

    code, told = trust("witness", WITNESSES[0].key.text, str(file), "--max-age", "30")
    assert code == 0, told
    pinned = Profile.load(folder).witness_policy()
    assert pinned is not None
    assert (pinned.threshold, pinned.max_age_seconds) == (2, 30)
    assert json.loads(trust("show")[1])["witnesses"] == pinned.model_dump(mode="json")
    for wrong in (
        ("witness",),
        ("witness", WITNESSES[0].key.text, "--nobody"),
        ("witness", WITNESSES[0].key.text, WITNESSES[0].key.text),
        ("witness", WITNESSES[0].key.text, "--threshold", "2"),
        ("witness", "no-such-file"),
        ("witness", "bank.example/w+00000000+BAAA"),
    ):
        assert trust(*wrong)[0] != 0
    assert Profile.load(folder).witness_policy() == pinned
    assert trust("witness", "--nobody")[0] == 0
    assert Profile.load(folder).witness_policy() is None
