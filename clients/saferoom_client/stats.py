"""Asking for the tables of a template, and opening them only once all of it verifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saferoom_client.kinds import another_kind
from saferoom_client.made import (
    VALID_FOR,
    WAITED_SECONDS,
    Waiting,
    asked_until_made,
    heard,
    ignore_waiting,
    shown_asked,
    shown_of,
)
from saferoom_client.question import BACKDATED, read_purpose
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.values import TemplateView
from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Aggregate,
    OwnersPeriod,
    Purpose,
    TableRelease,
    TableRequest,
)
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.tables.asked import plan_of, plan_of_sum, rules_of
from saferoom_proto.tables.dryrun import Expected, dry_run
from saferoom_proto.tables.plan import Margin, ReleasePlan
from saferoom_proto.tables.receipt import TableReceipt, VerifiedTables, verify_table_receipt
from saferoom_proto.tables.told import TABLES_SEAL
from saferoom_proto.v1 import table_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """An enclave's verified word on a request for tables.

    Attributes:
        verified: what it shows; its tables are none if it was refused.
        receipt: what shows all of it to anybody, offline.
        view: the template that was asked for.
    """

    verified: VerifiedTables
    receipt: TableReceipt
    view: TemplateView

    @property
    def refused(self) -> Reason | None:
        """Why the enclave refused; none if it answered."""
        return self.verified.release.reason


async def tabulate(
    session: Session,
    template: str,
    *,
    purpose: Purpose | str,
    waiting: Waiting = ignore_waiting,
    waited_seconds: float = WAITED_SECONDS,
) -> TableAnswer:
    """Ask for a template's tables, about the store in force.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        purpose: what the tables are for, one of the template's purposes.
        waiting: is told each time that the room is asked again, while they are being made.
        waited_seconds: how long to wait for them.

    Returns:
        The enclave's word, verified: the tables, or why it refused.

    Raises:
        Refused: the room could not ask, or no enclave has judged it; `reason` says why.
        SafeRoomError: what came back does not verify and is not returned.
    """
    wanted = Wanted(read_purpose(purpose), price=False)
    return await _asked(session, template, wanted, Patience(waiting, waited_seconds))


async def price_tables(session: Session, template: str, *, purpose: Purpose | str) -> TableAnswer:
    """Ask what a template's tables would cost now, and whether they would be refused.

    No tables are made, and nothing is charged; the request stands in the log.

    Args:
        session: of the institution that would ask.
        template: its digest or name.
        purpose: what the tables would be for.

    Returns:
        The enclave's word, verified: `PRICE_ONLY` if it would make them, else why it would not. Of
        tables with noise it says what would be charged (`verified.release.privacy`).

    Raises:
        Refused: the room could not ask.
        SafeRoomError: what came back does not verify.
    """
    wanted = Wanted(read_purpose(purpose), price=True)
    return await _asked(session, template, wanted, PATIENT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        purpose: what for.
        price: whether only what it would cost.
        periods: of a sum over owners, about which period of each.
    """

    purpose: Purpose
    price: bool
    periods: tuple[OwnersPeriod, ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long tables are waited for.

    Attributes:
        waiting: is told each time that the room is asked again.
        seconds: how long.
    """

    waiting: Waiting
    seconds: float


PATIENT: Final = Patience(ignore_waiting, WAITED_SECONDS)


@dataclass(frozen=True, slots=True, eq=False)
class SignedRequest:
    """A request for a template's tables.

    Attributes:
        view: the template.
        envelope: the request, signed.
        key: made for it; what answers it is sealed to this key.
    """

    view: TemplateView
    envelope: Envelope
    key: SealingKey


async def _asked(
    session: Session, template: str, wanted: Wanted, patience: Patience
) -> TableAnswer:
    # Step 1: the template, verified; and a signed request with a fresh reply key.
    view = await get_template(session, template)
    aggregate = require_tables(view)
    if aggregate.owners:
        raise another_kind(view)
    request = signed_request(session, view, wanted)
    # Steps 2 and 3: the enclave's word, and the tables.
    fields, opened = await told_by(session, request, aggregate.owner, TABLES_SEAL, patience)
    # Step 4: all of it once more, as anybody verifies it.
    receipt = TableReceipt.model_validate(
        {**shown_asked(view, request.envelope), **fields, "tables": opened}
    )
    verified = verify_table_receipt(receipt, session.profile.trust)
    return TableAnswer(verified, receipt, view)


async def told_by(
    session: Session, request: SignedRequest, owner: str, seal: AskerSeal, patience: Patience
) -> tuple[dict[str, object], str | None]:
    """Have one owner's enclave asked for tables, or for its part of a sum.

    Args:
        session: of the institution that asks.
        request: what is asked.
        owner: whose enclave.
        seal: of what it tells.
        patience: how long it is waited for.

    Returns:
        The statements that its word names, as fields of a receipt; and what it sealed, opened:
        none if it refused.

    Raises:
        Refused: the room could not ask, or the enclave has not judged it.
        SafeRoomError: what came back does not verify.
    """
    ask = table_pb2.MakeTablesRequest(request=envelope_to_proto(request.envelope), owner=owner)

    async def call(left: float, /) -> table_pb2.MakeTablesResponse:
        return await session.call(session.tables.MakeTables, ask, left)

    told = await asked_until_made(session, call, patience.waiting, patience.seconds)
    # Step 2: the enclave's word, its place in the log, and all that it names.
    word = recorded_from_proto(told.release)
    release = await heard(session, word, TableRelease)
    if release.owner != owner:
        raise SafeRoomError(Reason.BAD_PROOF, "the room gave another owner's word")
    # Step 3: the seal.
    opened = None
    if told.sealed:
        plain = seal.open_text(told.sealed, request.key, request.envelope.digest, owner)
        opened = plain.rstrip(" ")
    return await shown_of(session, request.view, word, release), opened


async def expect_tables(
    session: Session, template: str, public: Mapping[str, tuple[int, ...]]
) -> Mapping[Margin, tuple[Expected, ...]]:
    """Tell what cells of a template's tables can be expected, from public counts alone.

    Nobody is asked but for the template.

    Args:
        session: of anybody who may see the template.
        template: its digest or name.
        public: for each column how many subjects there are of each class.

    Raises:
        SafeRoomError: `MALFORMED` for a column without a count of each class.
    """
    view = await get_template(session, template)
    aggregate = require_tables(view)
    rules = rules_of(aggregate.rules) if aggregate.privacy is None else None
    return dry_run(plan_by(view), public, rules)


def plan_by(view: TemplateView) -> ReleasePlan:
    """Give the plan of a template of tables; of a sum, of all owners' cells together."""
    shapes = {ref: pinned.shape for ref, pinned in view.features.items()}
    aggregate = require_tables(view)
    return plan_of_sum(aggregate, shapes) if aggregate.owners else plan_of(aggregate, shapes)


def require_tables(view: TemplateView) -> Aggregate:
    """Give what a template of tables asks.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind.
    """
    aggregate = view.template.aggregate
    if aggregate is None:
        raise another_kind(view)
    return aggregate


def signed_request(session: Session, view: TemplateView, wanted: Wanted) -> SignedRequest:
    """Sign a request for a template's tables, for as long as they may take."""
    now, key = whole_milliseconds(session.clock()), SealingKey.generate()
    envelope = session.sign(
        TableRequest(
            room=session.profile.card.origin,
            institution=session.profile.member.organisation,
            template=view.envelope.digest,
            certificate=view.certificate.digest,
            purpose=wanted.purpose,
            nonce=fresh_nonce(),
            not_before=now - BACKDATED,
            not_after=now + VALID_FOR,
            reply_key=b64(key.public),
            price=wanted.price,
            periods=wanted.periods,
        )
    )
    return SignedRequest(view, envelope, key)
