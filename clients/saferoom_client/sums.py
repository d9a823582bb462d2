"""Sums over owners: each owner's enclave is asked, and the shares are added up here.

No share tells anything alone, nor do all but one. So nothing is opened in parts: the sum is given
once every owner's word verifies, and the receipt shows all of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from saferoom_client.kinds import another_kind
from saferoom_client.made import WAITED_SECONDS, Waiting, ignore_waiting, shown_asked
from saferoom_client.question import read_purpose
from saferoom_client.session import Session
from saferoom_client.stats import PATIENT, Patience, SignedRequest, Wanted, signed_request, told_by
from saferoom_client.templates import get_template
from saferoom_client.values import TemplateView
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate, OwnersPeriod, Purpose
from saferoom_proto.tables.sum_receipt import (
    SumPart,
    SumReceipt,
    VerifiedSum,
    verify_sum_receipt,
)
from saferoom_proto.tables.summed import SHARES_SEAL


@dataclass(frozen=True, slots=True)
class SumAnswer:
    """All owners' verified words on a request for a sum.

    Attributes:
        verified: what they show; its tables are none if any owner refused.
        receipt: what shows all of it to anybody, offline.
        view: the template that was asked for.
    """

    verified: VerifiedSum
    receipt: SumReceipt
    view: TemplateView


async def add_up(
    session: Session,
    template: str,
    *,
    purpose: Purpose | str,
    waiting: Waiting = ignore_waiting,
    waited_seconds: float = WAITED_SECONDS,
) -> SumAnswer:
    """Ask for the tables of several owners together, and add their shares up.

    Every owner is asked for its price first. If one would refuse, none is asked for its part, and
    nothing is charged: then the answer is the words on the price.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        purpose: what the tables are for, one of the template's purposes.
        waiting: is told each time that the room is asked again, while they are being made.
        waited_seconds: how long to wait for them.

    Returns:
        The enclaves' words, verified: the sum, or who refused and why.

    Raises:
        Refused: the room could not ask an owner, or its enclave has not judged it; who asks again
            is charged for the same plan once.
        SafeRoomError: what came back does not verify and is not returned.
    """
    view = await get_template(session, template)
    patience = Patience(waiting, waited_seconds)
    priced = await _asked(session, view, Wanted(read_purpose(purpose), price=True), patience)
    if priced.verified.refused is not None:
        return priced
    wanted = Wanted(read_purpose(purpose), price=False, periods=_periods(priced))
    return await _asked(session, view, wanted, patience)


async def price_sum(session: Session, template: str, *, purpose: Purpose | str) -> SumAnswer:
    """Ask every owner what its part of a sum would cost now, and whether it would be refused.

    No tables are made, and nothing is charged; the requests stand in the log.

    Args:
        session: of the institution that would ask.
        template: its digest or name.
        purpose: what the tables would be for.

    Returns:
        The enclaves' words, verified: `PRICE_ONLY` of each that would give its part, with what it
        would charge.

    Raises:
        Refused: the room could not ask.
        SafeRoomError: what came back does not verify.
    """
    view = await get_template(session, template)
    priced = await _asked(session, view, Wanted(read_purpose(purpose), price=True), PATIENT)
    if priced.verified.refused is not None:
        return priced
    # Once more, with the periods: whether an earlier sum could be subtracted depends on them.
    wanted = Wanted(read_purpose(purpose), price=True, periods=_periods(priced))
    return await _asked(session, view, wanted, PATIENT)


def require_sum(view: TemplateView) -> Aggregate:
    """Give what a template of a sum asks.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind, or of one owner's tables.
    """
    aggregate = view.template.aggregate
    if aggregate is None or not aggregate.owners:
        raise another_kind(view)
    return aggregate


def _periods(priced: SumAnswer) -> tuple[OwnersPeriod, ...]:
    """Give the period that each owner's enclave says it is in."""
    found: list[OwnersPeriod] = []
    for owner, each in priced.verified.words.items():
        if each.release.store is None:
            raise SafeRoomError(Reason.NO_DATA, f"{owner} has no records yet")
        found.append(OwnersPeriod(owner=owner, epoch=each.release.store.epoch))
    return tuple(sorted(found, key=lambda period: period.owner))


async def _asked(
    session: Session, view: TemplateView, wanted: Wanted, patience: Patience
) -> SumAnswer:
    # Step 1: one signed request, with one fresh reply key, for all owners.
    owners = require_sum(view).owners
    request = signed_request(session, view, wanted)
    # Step 2: each owner's word, its place in the log, and its shares; the others are heard out.
    told = await asyncio.gather(
        *(_part(session, request, owner, patience) for owner in owners), return_exceptions=True
    )
    parts: list[SumPart] = []
    for each in told:
        if isinstance(each, BaseException):
            raise each
        parts.append(each)
    # Step 3: all of it once more, as anybody verifies it; and the sum.
    receipt = SumReceipt.model_validate(
        {**shown_asked(view, request.envelope), "parts": tuple(parts)}
    )
    return SumAnswer(verify_sum_receipt(receipt, session.profile.trust), receipt, view)


async def _part(
    session: Session, request: SignedRequest, owner: str, patience: Patience
) -> SumPart:
    fields, opened = await told_by(session, request, owner, SHARES_SEAL, patience)
    return SumPart.model_validate({**fields, "shares": opened})
