"""One owner's part of an answer: verified step by step, and only then opened.

The steps are those of `saferoom_proto.receipt.verify_receipt`. What does not change from answer to
answer is verified once (`Grounds`); for each answer remain the enclave's signature, the proof of
its place in the log, and the seal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from saferoom_client.evidence import PartEvidence
from saferoom_client.question import Question
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import open_answer
from saferoom_proto.statements import Endorsement, Outcome, Release, load
from saferoom_proto.verification import (
    PinnedCharter,
    require_consent_covers,
    verify_by_enclave,
)
from saferoom_proto.wire import Part

CLOCKS_APART: Final = timedelta(minutes=5)
"""What an enclave's clock may be off from the asker's: as much as for a stream head."""


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """What one owner's enclave verifiably answered."""

    truth: Truth
    release: Release
    evidence: PartEvidence


async def open_part(
    session: Session, question: Question, view: TemplateView, part: Part
) -> OpenedPart:
    """Verify and open one owner's part of an answer.

    Raises:
        SafeRoomError: the reason names the first step that fails; nothing is opened then.
    """
    # Step 1: the owner's charter, and the enclave that its key agent endorsed.
    said = load(part.release.statement, Release)
    charter, endorsement = await _endorsed(session, said)
    # Step 2: the enclave's word, and that it is about this very question, asked now.
    release = verify_by_enclave(part.release.statement, endorsement, said.endorsement, Release)
    _require_about(release, question, view)
    # Step 3: what allowed it.
    await _require_grounds(session, question, view, release, charter)
    # Step 4: its place in the room's log.
    session.grounds.require_recorded(part.release)
    # Step 5: the seal, and the answer under its commitment.
    answer = question.open(part.sealed, release.owner)
    truth = open_answer(release, answer)
    return OpenedPart(truth, release, await part_evidence(session, view, part, answer))


async def part_evidence(
    session: Session, view: TemplateView, part: Part, answer: bytes | None
) -> PartEvidence:
    """Gather the statements that a release names. Nothing is verified here but their digests.

    Args:
        session: fetches those that are not kept.
        view: the template that was asked.
        part: the owner's part as the room gave it.
        answer: the opened 50 bytes; none for a refusal.
    """
    release = load(part.release.statement, Release)
    statement = session.grounds.statement
    owned = view.certificate.part(release.owner)
    return PartEvidence(
        owner=release.owner,
        charter=await statement(release.charter),
        features=tuple(view.statements[use.feature] for use in owned.features),
        approvals=tuple([await statement(digest) for digest in release.approvals]),
        agreement=await statement(release.agreement),
        consent=await statement(release.consent) if release.consent else None,
        endorsement=await statement(release.endorsement),
        release=part.release,
        answer=answer,
    )


async def _endorsed(session: Session, said: Release) -> tuple[PinnedCharter, Endorsement]:
    charter = await session.grounds.charter(said.owner, said.charter)
    return charter, await session.grounds.endorsement(said.endorsement, charter, said.time)


def _require_about(release: Release, question: Question, view: TemplateView) -> None:
    request = question.request
    named = (release.request, release.template, release.certificate, release.institution)
    asked = (
        question.request_id,
        request.template,
        view.certificate.digest,
        request.institution,
    )
    if named != asked:
        raise SafeRoomError(Reason.BAD_PROOF, "the release is about another question")
    if release.outcome is not Outcome.ANSWERED:
        raise SafeRoomError(Reason.BAD_PROOF, "a refusal came as an answer")
    # The nonce is fresh, so an honest enclave cannot have released it before it was asked; a
    # date outside the window hides that an endorsement had run out.
    earliest, latest = request.not_before - CLOCKS_APART, request.not_after + CLOCKS_APART
    if not earliest <= release.time <= latest:
        raise SafeRoomError(Reason.BAD_PROOF, "the release is dated outside the question's window")


async def _require_grounds(
    session: Session,
    question: Question,
    view: TemplateView,
    release: Release,
    charter: PinnedCharter,
) -> None:
    grounds, moment, request = session.grounds, release.time, question.request
    await grounds.approvals(
        release.approvals, charter, view.envelope.digest, view.certificate.digest
    )
    agreement = await grounds.agreement(release.agreement, charter)
    agreement.require_covers(request, question.envelope, moment)
    owned = view.certificate.part(release.owner)
    if not owned.needs_consent:
        return
    if release.consent is None:
        raise SafeRoomError(Reason.NO_CONSENT, "the release names no consent")
    consent = await grounds.consent(release.consent, charter, moment)
    features = [view.features[ref].definition for ref in view.features if ref.owner == owned.owner]
    used = {use.feature for use in owned.features}
    covered = [feature for feature in features if feature.full_name in used]
    require_consent_covers(consent, request, covered, moment)
