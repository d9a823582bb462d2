"""Asking a check, and opening its answer only once all of it verifies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from saferoom_client.answers import OpenedPart, open_part, part_evidence
from saferoom_client.blind import second_message
from saferoom_client.evidence import CheckEvidence, PartEvidence
from saferoom_client.heads import require_witnessed
from saferoom_client.kinds import another_kind
from saferoom_client.question import VALID_FOR, Question, Value, make_question
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.values import CheckAnswer, TemplateView
from saferoom_proto.answer import Truth, checked, combine
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Outcome, Purpose, Release, load
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import Part, envelope_from_proto, envelope_to_proto, part_from_proto

_STALE_VIEW: Final = frozenset(
    {Reason.CERTIFICATE_MISMATCH, Reason.NOT_APPROVED, Reason.UNKNOWN_STATEMENT}
)
"""Refusals that mean the template or its features may have changed since they were fetched."""
UNJUDGED: Final = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.SOURCE_PENDING,
        Reason.SOURCE_UNAVAILABLE,
        Reason.DEADLINE,
        Reason.LOCKED,
        Reason.STALE_HEAD,
        Reason.NOT_WITNESSED,
        Reason.OUTBOX_WAITING,
        Reason.TOO_MANY_REQUESTS,
        Reason.UNAUTHENTICATED,
        Reason.MALFORMED,
        Reason.TOO_LARGE,
    }
)
"""Refusals on which no enclave gives its word, so there is no receipt to ask for."""


async def check(
    session: Session,
    template: str,
    *,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value] | None = None,
    valid_for: timedelta = VALID_FOR,
    blind: bool = False,
) -> CheckAnswer:
    """Ask one question about one subject.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        subject: the 18-character unified social credit code.
        purpose: what the answer is for, one of the template's purposes.
        params: a value for each of the template's parameters, from its feature's grid or classes.
        valid_for: how long the question may travel.
        blind: match the value without telling it; refused where the template does not.

    Returns:
        The answer, opened and verified, with its receipt.

    Raises:
        Refused: the room or an enclave refused; `reason` says why.
        SafeRoomError: what came back does not verify and is not returned.
    """
    question = make_question(
        session.profile,
        await current_view(session, template),
        subject=subject,
        purpose=purpose,
        params=params or {},
        now=session.clock(),
        valid_for=valid_for,
        reply_key=session.reply_keys.current(session.clock()),
        blind=blind,
    )
    return await ask(session, question)


async def prepare(
    session: Session,
    template: str,
    *,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value] | None = None,
    valid_for: timedelta = VALID_FOR,
    blind: bool = False,
) -> Question:
    """Sign a question without asking it, to be kept and asked with `ask`, as often as needed."""
    view = await current_view(session, template)
    return make_question(
        session.profile,
        view,
        subject=subject,
        purpose=purpose,
        params=params or {},
        now=session.clock(),
        valid_for=valid_for,
        blind=blind,
    )


async def ask(
    session: Session, question: Question, keep: Callable[[Question], None] | None = None
) -> CheckAnswer:
    """Ask a signed question, the first time or again; a repeat is charged once.

    Args:
        session: of the institution that asks.
        question: as `prepare` gave it, or `keep` was given it.
        keep: is given the second message of a blind match before that is sent: from then on it is
            what to ask again, and no more the question that it follows.
    """
    if question.tag is not None:
        return await _match(session, question, question.tag, keep)
    return _answer(question, *await told_of(session, question))


async def open_told(
    session: Session, question: Question, told: check_pb2.CheckResponse
) -> CheckAnswer:
    """Open and verify what the room told of a check."""
    return _answer(question, *await _opened(session, question, told))


async def told_of(
    session: Session, question: Question
) -> tuple[TemplateView, tuple[OpenedPart, ...]]:
    """Ask a signed question of any kind; open and verify what the room tells of it."""
    return await _opened(session, question, await _sent(session, question))


def evidence_of(
    question: Question, view: TemplateView, opened: Sequence[OpenedPart]
) -> CheckEvidence:
    """Gather every statement that an answer was verified under."""
    parts = tuple(part.evidence for part in opened)
    return CheckEvidence(question.envelope, view.envelope, view.certificate, parts)


async def get_check(session: Session, question: Question) -> Receipt:
    """Fetch and verify the receipt of a question asked earlier, refused or answered."""
    told = await session.call(
        session.checks.GetCheck, check_pb2.GetCheckRequest(request_id=question.request_id)
    )
    return await _receipt(session, question, [part_from_proto(each) for each in told.parts])


async def current_view(
    session: Session, template: str, certificate: str | None = None
) -> TemplateView:
    """Give the view of a template of checks; as `kept_view`."""
    view = await kept_view(session, template, certificate)
    if view.template.kind != "Check":
        raise another_kind(view)
    return view


async def kept_view(
    session: Session, template: str, certificate: str | None = None
) -> TemplateView:
    """Give the view of a template that is asked about one subject at a time.

    What was fetched once is kept until a refusal says it is stale.
    """
    view = session.views.get(template)
    if view is None or certificate not in (None, view.certificate.digest):
        view = await get_template(session, template)
        session.views[template] = session.views[view.envelope.digest] = view
    if view.template.kind not in {"Check", "Score"}:
        raise another_kind(view)
    if certificate not in (None, view.certificate.digest):
        detail = "a feature has changed since the request was signed"
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
    return view


def forget_stale_views(session: Session, *refused: Reason | None) -> None:
    """Have the views fetched anew that these refusals say may be stale."""
    if _STALE_VIEW.intersection(refused):
        session.views.clear()


async def _match(
    session: Session, question: Question, tag: bytes, keep: Callable[[Question], None] | None
) -> CheckAnswer:
    """Have the offer of a blind match made; the answer is that of the second message."""
    told = await _sent(session, question)
    parts = _parts_of(session, question, told)
    view = await kept_view(session, question.request.template, question.request.certificate)
    if len(parts) != 1:
        raise SafeRoomError(Reason.BAD_PROOF, "a blind match has one owner's part")
    second, charges = await second_message(session, question, view, parts[0], tag)
    if keep is not None:
        keep(second)
    return replace(await ask(session, second), charges=charges)


def _answer(question: Question, view: TemplateView, opened: Sequence[OpenedPart]) -> CheckAnswer:
    return CheckAnswer(
        truth=combine([checked(part.value) for part in opened]),
        parts={part.release.owner: part.value for part in opened if isinstance(part.value, Truth)},
        request_id=question.request_id,
        charges=tuple(charge for part in opened for charge in part.release.charges),
        time=max(part.release.time for part in opened),
        evidence=evidence_of(question, view, opened),
    )


async def _sent(session: Session, question: Question) -> check_pb2.CheckResponse:
    message = check_pb2.CheckRequest(request=envelope_to_proto(question.envelope))
    try:
        return await session.call(session.checks.Check, message)
    except Refused as refused:
        raise await _with_receipt(session, question, refused) from refused


def _parts_of(session: Session, question: Question, told: check_pb2.CheckResponse) -> list[Part]:
    if told.request_id != question.request_id:
        raise SafeRoomError(Reason.BAD_PROOF, "the room answered another question")
    session.grounds.keep(*(envelope_from_proto(each) for each in told.consents))
    return [part_from_proto(each) for each in told.parts]


async def _opened(
    session: Session, question: Question, told: check_pb2.CheckResponse
) -> tuple[TemplateView, tuple[OpenedPart, ...]]:
    opened = await _open(session, question, _parts_of(session, question, told))
    await require_witnessed(session)
    return opened


async def _open(
    session: Session, question: Question, parts: Sequence[Part]
) -> tuple[TemplateView, tuple[OpenedPart, ...]]:
    """Open and verify an answer; the steps of each part are in `saferoom_client.answers`."""
    request = question.request
    view = await kept_view(session, request.template, request.certificate)
    owners = tuple(load(part.release.statement, Release).owner for part in parts)
    if owners != tuple(part.owner for part in view.certificate.parts):
        raise SafeRoomError(Reason.BAD_PROOF, "a part is missing, one too many, or out of order")
    return view, tuple([await open_part(session, question, view, part) for part in parts])


async def _receipt(session: Session, question: Question, parts: Sequence[Part]) -> Receipt:
    view = await kept_view(session, question.request.template, question.request.certificate)
    evidence: list[PartEvidence] = []
    for part in parts:
        release = load(part.release.statement, Release)
        answered = release.outcome is Outcome.ANSWERED
        answer = question.open(part.sealed, release.owner) if answered else None
        evidence.append(await part_evidence(session, view, part, answer))
    gathered = CheckEvidence(question.envelope, view.envelope, view.certificate, tuple(evidence))
    receipt = gathered.receipt()
    verify_receipt(receipt, session.profile.trust)
    return receipt


async def _with_receipt(session: Session, question: Question, refused: Refused) -> Refused:
    """Look for what the enclaves signed about a refused question, and verify it."""
    forget_stale_views(session, refused.reason)
    metadata = {"request_id": question.request_id, "owner": refused.owner}
    bare = Refused(refused, metadata)
    if refused.reason in UNJUDGED:
        return bare
    ask = check_pb2.GetCheckRequest(request_id=question.request_id)
    try:
        told = await session.call(session.checks.GetCheck, ask)
    except Refused:
        return bare
    parts = [part_from_proto(each) for each in told.parts]
    kind = Release.payload_type()
    if not parts or any(part.release.statement.payload_type != kind for part in parts):
        return bare  # the room's own word, or nobody's: no enclave has judged it
    return Refused(refused, metadata, await _receipt(session, question, parts))
