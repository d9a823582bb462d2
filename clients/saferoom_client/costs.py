"""Asking what a question would cost, before it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from saferoom_client.checks import forget_stale_views, kept_view
from saferoom_client.heads import require_witnessed
from saferoom_client.prices import Cost, TemplatePrice
from saferoom_client.question import VALID_FOR, Value, make_cost_request
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CostEstimate, CostRequest, Purpose
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto


async def cost(
    session: Session,
    template: str,
    *,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value] | None = None,
    valid_for: timedelta = VALID_FOR,
    blind: bool = False,
) -> Cost:
    """Ask what a check would cost, and whether it would be refused; nothing is charged.

    The arguments are those of `check`. Every owner's enclave is asked, since it alone knows what
    the institution's group has asked about the subject; its word is recorded like any other.

    Returns:
        The price at each owner, verified.

    Raises:
        Refused: the room could not ask, as for a question; `reason` says why.
        SafeRoomError: what came back does not verify and is not returned.
    """
    view = await kept_view(session, template)
    envelope, request = make_cost_request(
        session.profile,
        view,
        subject=subject,
        purpose=purpose,
        params=params or {},
        now=session.clock(),
        valid_for=valid_for,
        blind=blind,
    )
    message = check_pb2.CostRequest(request=envelope_to_proto(envelope))
    try:
        told = await session.call(session.checks.Cost, message)
    except Refused as refused:
        forget_stale_views(session, refused.reason)
        raise
    if told.request_id != envelope.digest:
        raise SafeRoomError(Reason.BAD_PROOF, "the room told another question's price")
    words = [recorded_from_proto(each) for each in told.estimates]
    estimates = [await _verified(session, envelope, request, word) for word in words]
    owners = tuple(each.owner for each in estimates)
    if owners != tuple(part.owner for part in view.certificate.parts):
        raise SafeRoomError(Reason.BAD_PROOF, "a part is missing, one too many, or out of order")
    forget_stale_views(session, *(each.refused for each in estimates))
    return Cost(envelope.digest, {each.owner: each for each in estimates})


async def price(session: Session, template: str) -> TemplatePrice:
    """Tell what a template costs at most, about whomever it is asked; nobody is asked.

    It follows from the release certificate, which is derived here.
    """
    return static_price(await kept_view(session, template))


def static_price(view: TemplateView) -> TemplatePrice:
    """Give the most that one question by a template can cost, whatever was asked before."""
    return TemplatePrice(view.envelope.digest, view.certificate)


async def _verified(
    session: Session, envelope: Envelope, request: CostRequest, word: Recorded
) -> CostEstimate:
    """Verify an enclave's word on a price, as a release is verified."""
    # Step 1: the word of the enclave that the owner's key agent endorsed under its charter.
    estimate, _ = await session.grounds.word(word.statement, CostEstimate)
    # Step 2: that it is about this very request.
    about = (estimate.request, estimate.institution, estimate.template, estimate.certificate)
    asked = (envelope.digest, request.institution, request.template, request.certificate)
    if about != asked:
        raise SafeRoomError(Reason.BAD_PROOF, "the price is of another question")
    # Step 3: its place in the room's log.
    session.grounds.require_recorded(word)
    await require_witnessed(session)
    return estimate
