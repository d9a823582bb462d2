"""An auditor's witness reads every entry, and cosigns no log with an answer that nobody allowed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_client.issuer import Issuer
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_client.witness.folder import Evidence, Misdeed, Witness
from saferoom_client.witness.judging import Judging
from saferoom_client.witness.watch import CaughtError, look
from saferoom_proto.cosignature import Algorithm
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import identity_pb2
from simulator import SimLedger
from simulator.seeds import Seeds
from tests.client.fakeroom import Said, serving
from tests.client.made import make_profile
from tests.client.story import Story


class Audited:
    """A story's log as a room serves it to an auditor, and a witness that judges it."""

    def __init__(self, said: Said, profile: Profile, folder: Path) -> None:
        self.said = said
        self.story = Story().begin()
        self.ledger = SimLedger(self.story.world.room, SigningKey.generate(), Seeds("audited"))
        trust = self.story.world.trust().model_copy(
            update={"ledger_key": self.ledger.key.verify_key.public}
        )
        card = profile.card.model_copy(
            update={
                "ledger_key": trust.ledger_key,
                "heads_key": self.story.world.heads.verify_key.public,
            }
        )
        self.profile = profile
        self.judged_by = Profile(
            folder=profile.folder,
            card=card,
            member=profile.member,
            trust=trust,
            tls_certificate=profile.tls_certificate,
            tls_key=profile.tls_key,
            signing_certificate=profile.signing_certificate,
            signing_key=profile.signing_key,
        )
        self.witness = Witness.create(folder, "auditor.example/w", Algorithm.ED25519, card)
        said.consistency = self.ledger.consistency
        said.leaves, said.openings = [], {}

    def publish(self) -> None:
        """Record what the story has written since."""
        for statement in self.story.log[self.ledger.size :]:
            salt = os.urandom(32)
            self.said.openings[self.ledger.size] = (statement, salt)
            self.said.leaves.append(leaf(commitment(salt, statement.digest)))
            self.ledger.append(self.said.leaves[-1])
        self.said.to_cosign = self.ledger.note()

    def judging(self, since: int = 0) -> Judging:
        """Begin to judge."""
        return Judging(self.judged_by, since)


@pytest.fixture
async def audited(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[Audited]:
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "auditor", said.case, issuer, card)
        yield Audited(said, profile, tmp_path / "witness")


@pytest.fixture
async def session(audited: Audited) -> AsyncIterator[Session]:
    async with Session(audited.profile, clock=audited.story.world.now) as opened:
        yield opened


def withhold(audited: Audited) -> None:
    """A revocation stands in the log, and the enclave answers a minute later as if it did not."""
    story = audited.story
    story.hear_nothing_of(story.subject.revocation(story.consent))
    story.world.clock.advance(timedelta(seconds=61).total_seconds())
    story.release()


async def test_a_sound_log_is_judged_and_cosigned_as_it_grows(
    audited: Audited, session: Session
) -> None:
    judging = audited.judging()
    for _ in range(3):
        audited.story.release()
        audited.publish()
        looked = await look(session, audited.witness, judging)
        assert looked.checkpoint == audited.ledger.checkpoint()
    assert len(audited.said.words) == 3
    # What was judged is not read again.
    asked = audited.said.calls.count("ListEntries")
    await look(session, audited.witness, judging)
    assert audited.said.calls.count("ListEntries") == asked


async def test_a_revocation_that_was_left_out_of_an_enclaves_stream_stops_the_cosignatures(
    audited: Audited, session: Session
) -> None:
    judging = audited.judging()
    audited.story.release()
    audited.publish()
    await look(session, audited.witness, judging)
    withhold(audited)
    audited.publish()
    before = audited.witness.seen
    with pytest.raises(CaughtError) as refused:
        await look(session, audited.witness, judging)
    assert refused.value.reason is Reason.NO_CONSENT
    assert (audited.witness.seen, len(audited.said.words)) == (before, 1)
    (path,) = audited.witness.evidence()
    evidence = Evidence.model_validate_json(path.read_bytes())
    assert evidence.misdeed is Misdeed.VIOLATED
    assert f"entry {audited.ledger.size - 1}" in evidence.what
    # Whoever sees commitments only can't tell; begun anew, it is found again.
    await look(session, audited.witness)
    with pytest.raises(CaughtError):
        await look(session, audited.witness, audited.judging())


async def test_what_was_looked_into_does_not_stop_a_witness_that_judges_what_came_after(
    audited: Audited, session: Session
) -> None:
    withhold(audited)
    audited.publish()
    looked = await look(session, audited.witness, audited.judging(since=audited.ledger.size))
    assert looked.checkpoint == audited.ledger.checkpoint()


async def test_a_witness_is_not_told_to_judge_from_beyond_the_log_on(
    audited: Audited, session: Session
) -> None:
    audited.said.roles = [identity_pb2.ROLE_AUDITOR]
    size = audited.said.case.world.ledger.size
    await audited.judging(since=size).require_able(session)
    with pytest.raises(SafeRoomError) as refused:
        await audited.judging(since=size + 1).require_able(session)
    assert refused.value.reason is Reason.MALFORMED
    assert [fault.field for fault in refused.value.fields] == ["--since"]


async def test_entries_that_are_not_those_of_the_head_are_caught(
    audited: Audited, session: Session
) -> None:
    audited.story.release()
    audited.publish()
    audited.said.leaves[2] = leaf(bytes(32))
    audited.said.openings.pop(2)
    with pytest.raises(CaughtError) as refused:
        await look(session, audited.witness, audited.judging())
    assert refused.value.reason is Reason.BAD_PROOF
    assert not audited.said.words


async def test_only_an_auditors_witness_judges(audited: Audited, session: Session) -> None:
    with pytest.raises(SafeRoomError) as refused:
        await audited.judging().require_able(session)
    assert refused.value.reason is Reason.NOT_ALLOWED
