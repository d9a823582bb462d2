"""Whose request for tables it is, and whether it is allowed. Nothing here looks at a record."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Rules, agreed, require_of_now
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.requests import Seen
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.tables.approved import ApprovedTables, approved_tables
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import TableRequest, load
from saferoom_proto.verification import PinnedAgreement


class _Identification(Right):
    __slots__ = ()


class _Admission(Right):
    __slots__ = ()


_TABLE_IDENTIFIED: Final = _Identification()
_TABLE_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class AskedTable(Evidence):
    """A request for tables that a known institution signed."""

    right: InitVar[_Identification]
    request: TableRequest
    request_id: str
    reply_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _Identification) -> None:
        _TABLE_IDENTIFIED.require(right)


@final
@dataclass(frozen=True, slots=True, eq=False)
class AdmittedTable(Evidence):
    """A request for tables that the owner and the agreement allow."""

    right: InitVar[_Admission]
    asked: AskedTable
    tables: ApprovedTables

    def __post_init__(self, right: _Admission) -> None:
        _TABLE_ADMITTED.require(right)


def identify_table(envelope: Envelope, standing: Standing, now: datetime) -> AskedTable:
    """Find out whose request it is.

    Raises:
        SafeRoomError: `MALFORMED`, `NO_AGREEMENT` or `BAD_SIGNATURE`; none of these is recorded,
            since nobody is known to have asked.
    """
    request = load(envelope, TableRequest)
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    agreement = agreed(envelope, request, standing, now)
    return AskedTable(_TABLE_IDENTIFIED, request, envelope.digest, reply_key, agreement)


def admit_table(asked: AskedTable, seen: Seen, rules: Rules, now: datetime) -> AdmittedTable:
    """Hold a request to all that was said about such requests, cheapest first.

    Raises:
        SafeRoomError: the reason is the verdict that is recorded.
    """
    request = asked.request
    seen.require_fresh_nonce()
    require_of_now(request, rules, now)
    tables = approved_tables(rules.standing, rules.uses, request.template, request.certificate)
    named = tuple(each.owner for each in request.periods)
    if named != tables.owners and not (request.price and not named):
        detail = "a sum is asked about a period of each of its owners, and nothing else is"
        raise SafeRoomError(Reason.MALFORMED, detail)
    return AdmittedTable(_TABLE_ADMITTED, asked, tables)
