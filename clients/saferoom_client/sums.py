"""Sums over owners: each owner's enclave is asked, and the shares are added up here.

No share tells anything alone, nor do all but one. So nothing is opened in parts: the sum is given
once every owner's word verifies, and the receipt shows all of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from saferoom_client.kinds import another_kind
from saferoom_client.made import (
    WAITED_SECONDS,
    Waiting,
    asked_until_made,
    heard,
    ignore_waiting,
    shown,
)
from saferoom_client.question import read_purpose
from saferoom_client.session import Session
from saferoom_client.stats import Wanted, signed_request
from saferoom_client.templates import get_template
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate, OwnersPeriod, Purpose, TableRelease
from saferoom_proto.tables.sum_receipt import (
    SumPart,
    SumReceipt,
    VerifiedSum,
    verify_sum_receipt,
)
from saferoom_proto.tables.summed import SHARES_SEAL
from saferoom_proto.v1 import table_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto

_OF_ALL: Final = ("request", "template", "certificate")
"""What stands once in a sum's receipt, whatever the owner."""


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

    @property
    def refusal(self) -> TableRelease | None:
        """The word of the first owner that would not give its part; none if all would."""
        said = (each.release for each in self.verified.words.values())
        return next((each for each in said if each.reason not in {None, Reason.PRICE_ONLY}), None)


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
    patience = _Patience(waiting, waited_seconds)
    priced = await _asked(session, view, _wanted(view, purpose, price=True), patience)
    if priced.refusal is not None:
        return priced
    wanted = _wanted(view, purpose, price=False, periods=_periods(priced))
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
    patience = _Patience(ignore_waiting, WAITED_SECONDS)
    priced = await _asked(session, view, _wanted(view, purpose, price=True), patience)
    if priced.refusal is not None:
        return priced
    # Once more, with the periods: whether an earlier sum could be subtracted depends on them.
    wanted = _wanted(view, purpose, price=True, periods=_periods(priced))
    return await _asked(session, view, wanted, patience)


def require_sum(view: TemplateView) -> Aggregate:
    """Give what a template of a sum asks.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind, or of one owner's tables.
    """
    aggregate = view.template.aggregate
    if aggregate is None or not aggregate.owners:
        raise another_kind(view)
    return aggregate


@dataclass(frozen=True, slots=True)
class _Patience:
    waiting: Waiting
    seconds: float


def _wanted(
    view: TemplateView,
    purpose: Purpose | str,
    *,
    price: bool,
    periods: tuple[OwnersPeriod, ...] = (),
) -> Wanted:
    require_sum(view)
    return Wanted(view.envelope.digest, read_purpose(purpose), price=price, periods=periods)


def _periods(priced: SumAnswer) -> tuple[OwnersPeriod, ...]:
    """Give the period that each owner's enclave says it is in."""
    found: list[OwnersPeriod] = []
    for owner, each in priced.verified.words.items():
        if each.release.store is None:
            raise SafeRoomError(Reason.NO_DATA, f"{owner} has no records yet")
        found.append(OwnersPeriod(owner=owner, epoch=each.release.store.epoch))
    return tuple(sorted(found, key=lambda period: period.owner))


async def _asked(
    session: Session, view: TemplateView, wanted: Wanted, patience: _Patience
) -> SumAnswer:
    # Step 1: one signed request, with one fresh reply key, for all owners.
    key = SealingKey.generate()
    request = signed_request(session, view, wanted, key)
    # Step 2: each owner's word, its place in the log, and its shares; the others are heard out.
    told = await asyncio.gather(
        *(
            _part(session, view, (request, key), owner, patience)
            for owner in require_sum(view).owners
        ),
        return_exceptions=True,
    )
    parts: list[SumPart] = []
    for each in told:
        if isinstance(each, BaseException):
            raise each
        parts.append(each)
    # Step 3: all of it once more, as anybody verifies it; and the sum.
    receipt = SumReceipt(
        request=request.to_json().decode(),
        template=view.envelope.to_json().decode(),
        certificate=view.certificate.to_bytes().decode(),
        parts=tuple(parts),
    )
    return SumAnswer(verify_sum_receipt(receipt, session.profile.trust), receipt, view)


async def _part(
    session: Session,
    view: TemplateView,
    asked: tuple[Envelope, SealingKey],
    owner: str,
    patience: _Patience,
) -> SumPart:
    request, key = asked
    ask = table_pb2.MakeTablesRequest(request=envelope_to_proto(request), owner=owner)

    async def call(left: float, /) -> table_pb2.MakeTablesResponse:
        return await session.call(session.tables.MakeTables, ask, left)

    told = await asked_until_made(session, call, patience.waiting, patience.seconds)
    word = recorded_from_proto(told.release)
    release = await heard(session, word, TableRelease)
    if release.owner != owner:
        raise SafeRoomError(Reason.BAD_PROOF, "the room gave another owner's word")
    opened = None
    if told.sealed:
        plain = SHARES_SEAL.open(told.sealed, key, request.digest, owner)
        opened = plain.decode().rstrip(" ")
    fields = await shown(session, view, request, word, release)
    own = {name: each for name, each in fields.items() if name not in _OF_ALL}
    return SumPart.model_validate({**own, "shares": opened})
