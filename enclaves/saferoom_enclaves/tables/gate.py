"""Tables are made under seal, and let out in one way only: sealed to the asker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Final, Protocol, final

from saferoom_enclaves.children.jobs import Tabulated
from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.pairing import Hiding, place_of_cell
from saferoom_enclaves.tables.account import TableAccounts
from saferoom_enclaves.tables.admit import AskedTable
from saferoom_enclaves.tables.charge import ChargedTable
from saferoom_proto.answer import SALT_BYTES
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, TableRelease
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.suite import suite_of
from saferoom_proto.tables.summed import SHARES_SEAL, TableShares, in_tables
from saferoom_proto.tables.told import TABLES_SEAL, Tables, commitment


class Tabulating(Protocol):
    """Makes tables from the store."""

    def tabulate(self, charged: ChargedTable) -> Tabulated:
        """Make a plan's tables, protected together with all that was released before."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_TABLES_EXECUTED: Final = _Execution()
_TABLES_RELEASED: Final = _Releasing()


@final
class SealedTables(Hidden):
    """Tables that were made of records. They cannot be shown, compared, tested, kept or copied."""

    __slots__ = ("_made", "_shares")

    def __init__(self, right: _Execution, made: Tabulated, shares: tuple[str, ...] | None) -> None:
        _TABLES_EXECUTED.require(right)
        self._made: Final = made
        self._shares: Final = shares

    def open(self, right: _Releasing) -> tuple[Tabulated, tuple[str, ...] | None]:
        """Give the tables, and of a sum what hides them, to the gate and to nobody else."""
        _TABLES_RELEASED.require(right)
        return self._made, self._shares


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedTables(Evidence):
    """The enclave's word on a request for tables, in its chain, and the sealed tables if any."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _TABLES_RELEASED.require(right)


def make_tables(charged: ChargedTable, tabulating: Tabulating) -> SealedTables:
    """Make a plan's tables, in any thread; of a sum, with the shares in which they leave."""
    made = tabulating.tabulate(charged)
    hiding, request = charged.admitted.tables.hiding, charged.admitted.asked.request_id
    shares = None if hiding is None else _hidden(made, hiding, request)
    return SealedTables(_TABLES_EXECUTED, made, shares)


def _hidden(made: Tabulated, hiding: Hiding, request_id: str) -> tuple[str, ...]:
    """Hide every cell by numbers of its own, which only this request's sum takes off."""
    return in_tables(
        [
            [
                hiding.part(_whole(number), place_of_cell(request_id, table, cell))
                for cell, number in enumerate(numbers)
            ]
            for table, numbers in enumerate(made.numbers)
        ]
    )


def _whole(number: str | None) -> int:
    if number is None:
        raise SafeRoomError(Reason.INTERNAL, "a cell of a sum was withheld, which tells of it")
    return int(number)


class TableGate:
    """Lets tables and refusals out, each as the next entry of the enclave's chain.

    Args:
        journal: the enclave's chain. All is done within its state's transactions.
        accounts: what was released before.
        randomness: gives so many random bytes.
    """

    def __init__(
        self, journal: Journal, accounts: TableAccounts, randomness: Callable[[int], bytes]
    ) -> None:
        self._journal: Final = journal
        self._accounts: Final = accounts
        self._randomness: Final = randomness

    def release(
        self, charged: ChargedTable, sealed: SealedTables, moment: Moment
    ) -> ReleasedTables:
        """Seal tables to their asker, sign what may be known of them, and keep what was released.

        Raises:
            SafeRoomError: `TOO_LARGE` if there is more than can be sent.
        """
        asked, grounds = charged.admitted.asked, moment.grounds
        made, shares = sealed.open(_TABLES_RELEASED)
        if (shares is None) != (charged.admitted.tables.hiding is None):
            raise SafeRoomError(Reason.INTERNAL, "cells of a sum that nothing hides")
        said: dict[str, object] = {
            "room": grounds.room,
            "owner": grounds.owner,
            "request": asked.request_id,
            "template": asked.request.template,
            "epoch": charged.plan.epoch,
            "salt": b64(self._randomness(SALT_BYTES)),
        }
        if shares is None:
            seal, told = TABLES_SEAL, Tables.model_validate({**said, "numbers": made.numbers})
        else:
            seal, told = SHARES_SEAL, TableShares.model_validate({**said, "shares": shares})
        plaintext = told.to_bytes()
        after = charged.after(made.shown)
        noise = charged.noise
        if noise is not None and not noise.made:
            self._accounts.noisy.keep(charged.kept.records, noise.told.plan, made.numbers)
        self._accounts.write(charged.kept, after, moment.now)
        if charged.parts is not None:
            self._accounts.sums.told(charged.parts)
        payload = self._payload(
            asked,
            moment,
            outcome=Outcome.ANSWERED,
            reason=None,
            approvals=charged.admitted.tables.approvals,
            together=len(after.plans),
            answer=commitment(plaintext, suite_of(asked.request_id)),
            privacy=None if noise is None else noise.paid,
        )
        to_asker = seal.seal(plaintext, asked.reply_key, asked.request_id, grounds.owner)
        judged = self._journal.append(payload, moment.now, sealed=to_asker)
        return ReleasedTables(_TABLES_RELEASED, judged)

    def withhold(self, charged: ChargedTable, moment: Moment) -> ReleasedTables:
        """Sign that tables could not be made; that counts, since it took as long as any."""
        self._accounts.count(charged.kept, charged.unmade())
        return self.refuse(charged.admitted.asked, Reason.WITHHELD, moment)

    def refuse(
        self,
        asked: AskedTable,
        reason: Reason,
        moment: Moment,
        price: PrivacySpent | None = None,
    ) -> ReleasedTables:
        """Sign a refusal; where the price was asked, with it."""
        payload = self._payload(
            asked,
            moment,
            outcome=Outcome.REFUSED,
            reason=reason,
            approvals=(),
            together=None,
            answer=None,
            privacy=price,
        )
        return ReleasedTables(_TABLES_RELEASED, self._journal.append(payload, moment.now))

    def _payload(
        self,
        asked: AskedTable,
        moment: Moment,
        *,
        outcome: Outcome,
        reason: Reason | None,
        approvals: tuple[str, ...],
        together: int | None,
        answer: str | None,
        privacy: PrivacySpent | None = None,
    ) -> TableRelease:
        request, grounds = asked.request, moment.grounds
        return TableRelease(
            room=grounds.room,
            owner=grounds.owner,
            request=asked.request_id,
            institution=request.institution,
            endorsement=grounds.endorsement,
            charter=grounds.charter,
            template=request.template,
            certificate=request.certificate,
            approvals=approvals,
            agreement=asked.agreement.digest,
            stream=grounds.stream,
            store=grounds.store,
            outcome=outcome,
            reason=reason,
            together=together,
            answer=answer,
            privacy=privacy,
            chain=self._journal.link,
            time=moment.now,
        )
