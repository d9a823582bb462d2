"""One owner's part of an answer: verified step by step, and only then opened.

The steps are those of `saferoom_proto.receipt.verify_receipt`. What does not change from answer to
answer is verified once (`Grounds`); for each answer remain the enclave's signature, the proof of
its place in the log, and the seal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from saferoom_client.evidence import PartEvidence
from saferoom_client.question import Question
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.answer import Told
from saferoom_proto.covering import require_consent_covers
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import open_answer, require_about, require_pinned
from saferoom_proto.statements import Outcome, Release, load
from saferoom_proto.verification import PinnedAgreement, PinnedCharter
from saferoom_proto.wire import Part


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """What one owner's enclave verifiably answered."""

    value: Told
    release: Release
    evidence: PartEvidence


async def open_part(
    session: Session, question: Question, view: TemplateView, part: Part
) -> OpenedPart:
    """Verify and open one owner's part of an answer.

    Raises:
        SafeRoomError: the reason names the first step that fails; nothing is opened then.
    """
    release, answer = await verified_part(session, question, view, part)
    value = open_answer(release, answer, view.certificate, release.owner)
    return OpenedPart(value, release, await part_evidence(session, view, part, answer))


async def verified_part(
    session: Session, question: Question, view: TemplateView, part: Part
) -> tuple[Release, bytes]:
    """Verify one owner's part of an answer, and unseal it; whoever reads it checks its commitment.

    Raises:
        SafeRoomError: the reason names the first step that fails; nothing is unsealed then.
    """
    # Step 1: the word of the enclave that the owner's key agent endorsed under its charter.
    release, charter = await session.grounds.word(part.release.statement, Release)
    # Step 2: that it is an answer about this very question, asked now.
    if release.outcome is not Outcome.ANSWERED:
        raise SafeRoomError(Reason.BAD_PROOF, "a refusal came as an answer")
    require_about(release, question.request_id, question.request, charter)
    # Step 3: what allowed it.
    await _require_grounds(session, question, view, release, charter)
    # Step 4: its place in the room's log.
    session.grounds.require_recorded(part.release)
    # Step 5: the seal, and then the answer under its commitment.
    return release, question.open(part.sealed, release.owner)


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
    charter = await statement(release.charter)
    return PartEvidence(
        owner=release.owner,
        charter=charter,
        features=tuple(view.statements[use.feature] for use in owned.features),
        approvals=tuple([await statement(digest) for digest in release.approvals]),
        agreement=await statement(release.agreement),
        consent=await statement(release.consent) if release.consent else None,
        endorsement=await statement(release.endorsement),
        release=part.release,
        answer=answer,
        handovers=session.grounds.handovers_to(release.owner, charter),
    )


async def _require_grounds(
    session: Session,
    question: Question,
    view: TemplateView,
    release: Release,
    charter: PinnedCharter,
) -> None:
    grounds, moment, request = session.grounds, release.time, question.request
    counted = await grounds.approvals(
        release.approvals, charter, view.envelope.digest, view.certificate.digest
    )
    if counted != release.approvals:
        raise SafeRoomError(Reason.NOT_APPROVED, "the release names other approvals")
    _require_agreed(await grounds.agreement(release.agreement, charter), question, moment)
    owned = view.certificate.part(release.owner)
    require_pinned(charter, owned)
    features = [grounds.feature(view.statements[use.feature], charter) for use in owned.features]
    if not owned.needs_consent:
        return
    if release.consent is None:
        raise SafeRoomError(Reason.NO_CONSENT, "the release names no consent")
    consent = await grounds.consent(release.consent, charter, moment)
    require_consent_covers(consent, request, features, moment)


def _require_agreed(pinned: PinnedAgreement, question: Question, moment: datetime) -> None:
    """Check what `verify_request` does, but for the signature, which the asker itself made."""
    agreement, request = pinned.agreement, question.request
    if agreement.institution != request.institution or request.purpose not in agreement.purposes:
        raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement does not cover the question")
    agreement.require_valid(moment)
    live = {key.keyid for key in pinned.keys(moment)}
    if not live.intersection(each.keyid for each in question.envelope.signatures):
        raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement does not name the asker's key")
