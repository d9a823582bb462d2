"""Asking for a report: each owner's part verified, whichever came, and then put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from saferoom_client.answers import part_evidence
from saferoom_client.checks import forget_stale_views
from saferoom_client.heads import require_witnessed
from saferoom_client.kinds import another_kind
from saferoom_client.question import Question, make_question
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.values import TemplateView
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.receipt import (
    ReportReceipt,
    ReportReceiptPart,
    VerifiedReport,
    verify_report_receipt,
)
from saferoom_proto.reports.told import REPORT_SEAL
from saferoom_proto.statements import Outcome, Purpose, Refusal, Release, load
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import Part, envelope_to_proto, part_from_proto

WAITED_SECONDS: Final = 120.0
"""How long a report is waited for: others' may be before it at an enclave, seconds each."""
_AGAIN: Final = frozenset({Reason.DEADLINE})
"""The room ends a call after its deadline; the enclave goes on, and gives the same when asked."""


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """A report, verified.

    Attributes:
        verified: what each owner's enclave said; at least one of them told something.
        receipt: what shows all of it to anybody, offline.
        missing: owners whose part is missing, and why.
    """

    verified: VerifiedReport
    receipt: ReportReceipt
    missing: Mapping[str, Reason]


async def ask_report(
    session: Session,
    template: str,
    *,
    subject: str,
    purpose: Purpose | str,
    waited_seconds: float = WAITED_SECONDS,
) -> ReportAnswer:
    """Ask for a report about one subject, of all owners that its template names.

    An owner that does not answer now, or refuses, is named with its reason; the others' parts
    stand.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        subject: the 18-character unified social credit code.
        purpose: what the report is for, one of the template's purposes.
        waited_seconds: how long to wait for it.

    Raises:
        Refused: no owner told anything; `reason` is that of the first.
        SafeRoomError: what came back does not verify and is not returned.
    """
    # Step 1: the template, verified; and a signed question with a fresh reply key.
    view = await get_template(session, template)
    if view.template.report is None:
        raise another_kind(view)
    question = make_question(
        session.profile, view, subject=subject, purpose=purpose, params={}, now=session.clock()
    )
    parts, missing, refused = await _told(session, question, waited_seconds)
    if refused is not None and not any(part.sealed for part in parts):
        forget_stale_views(session, refused.reason)
        raise refused
    owners = {load(part.release.statement, Release).owner for part in parts}
    if not owners or len(owners) != len(parts):
        raise SafeRoomError(Reason.BAD_PROOF, "the room gave no owner's part, or one's twice")
    # Step 2: each word's place in the log, and what it names.
    for part in parts:
        session.grounds.require_recorded(part.release)
    await require_witnessed(session)
    # Step 3: the seals; and all of it once more, as anybody verifies it.
    receipt = ReportReceipt(
        request=question.envelope.to_json().decode(),
        template=view.envelope.to_json().decode(),
        certificate=view.certificate.to_bytes().decode(),
        parts=tuple([await _receipt_part(session, question, view, part) for part in parts]),
    )
    verified = verify_report_receipt(receipt, session.profile.trust)
    missing = {
        **dict.fromkeys(verified.missing, Reason.UNAVAILABLE),
        **{owner: reason for owner, reason in missing.items() if owner in verified.missing},
        **{
            owner: part.release.reason
            for owner, part in verified.parts.items()
            if part.release.reason is not None
        },
    }
    return ReportAnswer(verified, receipt, MappingProxyType(dict(sorted(missing.items()))))


async def _told(
    session: Session, question: Question, seconds: float
) -> tuple[Sequence[Part], dict[str, Reason], Refused | None]:
    """Give the enclaves' words, the owners of whom the room says why there is none, and a refusal.

    The room refuses the whole for one owner; what the others said stands in the log, and is asked
    for again.
    """
    refused: Refused | None = None
    try:
        told = await _asked(session, question, seconds)
        parts = [part_from_proto(each) for each in told.parts]
    except Refused as error:
        refused = error
        ask = check_pb2.GetCheckRequest(request_id=question.request_id)
        try:
            earlier = await session.call(session.checks.GetCheck, ask)
        except Refused:
            return (), {}, refused
        parts = [part_from_proto(each) for each in earlier.parts]
    words = [each for each in parts if _is_word(each)]
    missing: dict[str, Reason] = {}
    for part in parts:
        if not _is_word(part):
            refusal = load(part.release.statement, Refusal)
            missing[refusal.owner or ""] = refusal.reason
    return words, missing, refused


def _is_word(part: Part) -> bool:
    return part.release.statement.payload_type == Release.payload_type()


async def _asked(session: Session, question: Question, seconds: float) -> check_pb2.CheckResponse:
    """Ask, and ask again while others' reports are before it."""
    message = check_pb2.CheckRequest(request=envelope_to_proto(question.envelope))
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        left = max(0.1, end - clock())
        try:
            return await session.call(
                session.checks.Check, message, min(left, session.deadline_seconds)
            )
        except Refused as refused:
            if refused.reason not in _AGAIN or clock() >= end:
                raise


async def _receipt_part(
    session: Session, question: Question, view: TemplateView, part: Part
) -> ReportReceiptPart:
    """Open a part, and gather the statements that its release names."""
    evidence = await part_evidence(session, view, part, None)
    release = load(part.release.statement, Release)
    report = None
    if release.outcome is Outcome.ANSWERED:
        key = question.reply_key
        report = REPORT_SEAL.open_text(part.sealed, key, question.request_id, release.owner)
    return ReportReceiptPart(
        owner=release.owner,
        charters=(evidence.charter.to_json().decode(),),
        approvals=tuple(each.to_json().decode() for each in evidence.approvals),
        agreement=evidence.agreement.to_json().decode(),
        endorsement=evidence.endorsement.to_json().decode(),
        release=part.release.statement.to_json().decode(),
        salt=b64(part.release.salt),
        proof=part.release.proof,
        report=report,
        handovers=evidence.handovers,
    )
