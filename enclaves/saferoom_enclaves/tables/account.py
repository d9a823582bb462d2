"""What was released in tables about the same records: kept for as long as the records are in use.

Every table that is made is protected together with all of these, whoever asked for them. The
account goes by the records, not by the number of their snapshot: an owner that goes back to earlier
records goes back to their account.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.rowform import read_or_first, read_part
from saferoom_enclaves.state import Row, State
from saferoom_enclaves.tables.privacy import NoisyNumbers, ToldWithNoise
from saferoom_enclaves.tables.shown import ShownFamily, SumBounds
from saferoom_enclaves.tables.sums import ToldSums
from saferoom_proto.statements.aggregate import FEWEST_DAYS, TableRules
from saferoom_proto.statements.base import Digest, FeatureName, Instant, Name, Owner, Part

_TABLE: Final = "tables"


class TimesTold(Part):
    """How often an institution was told the tables of one plan about the same records."""

    institution: Name
    plan: Digest
    times: Annotated[int, Field(ge=1)]

    @property
    def who(self) -> tuple[str, str]:
        """Who was told, and of which plan."""
        return self.institution, self.plan


class TableAccount(Part):
    """All that was asked in tables about the same records, and which cells of it left.

    Attributes:
        plans: digests of the certificates of the plans that were answered.
        features: each as it was defined then.
        bounds: of the sums.
        shown: what became of every cell.
        rules: the strictest of those plans; whatever follows keeps to them too. Base and digits
            are those of the first.
        times: how often each institution was told each plan's tables, or they could not be made.
        groups: the feature by which subjects of one legal group are one unit, if any plan names it.
        noisy: which groups were told which plans with noise; then no table is told without.
        owners: with whose cells this owner's were added up; none where its tables were its own.
    """

    plans: tuple[Digest, ...] = ()
    features: tuple[FeatureDefinition, ...] = ()
    bounds: tuple[SumBounds, ...] = ()
    shown: tuple[ShownFamily, ...] = ()
    rules: TableRules = TableRules()
    times: tuple[TimesTold, ...] = ()
    noisy: tuple[ToldWithNoise, ...] = ()
    groups: FeatureName | None = None
    owners: tuple[Owner, ...] = ()

    def told(self, institution: str, plan: str) -> int:
        """Tell how often an institution was told a plan's tables, or they could not be made."""
        return next((each.times for each in self.times if each.who == (institution, plan)), 0)

    def told_once_more(self, institution: str, plan: str) -> tuple[TimesTold, ...]:
        """Give the times, once it is told again."""
        others = (each for each in self.times if each.who != (institution, plan))
        times = self.told(institution, plan) + 1
        return (*others, TimesTold(institution=institution, plan=plan, times=times))

    @property
    def cells(self) -> int:
        """How many cells were asked for or are watched, over all margins."""
        return sum(len(margin.became) for family in self.shown for margin in family.margins)


class _Records(Part):
    """By which epoch the account of an epoch's records is found."""

    account: Annotated[int, Field(ge=1)]


class _Told(Part):
    """When tables of some records were told last, and how long those of others wait then."""

    records: Annotated[int, Field(ge=1)]
    at: Instant
    days: Annotated[int, Field(ge=FEWEST_DAYS)] = FEWEST_DAYS


class _AllTold(Part):
    told: tuple[_Told, ...] = ()


class KeptAccount:
    """An account as it was read, and the row it was read from."""

    __slots__ = ("account", "records", "row")

    def __init__(self, account: TableAccount, records: int, row: Row | None) -> None:
        self.account: Final = account
        self.records: Final = records
        self.row: Final = row

    def is_still(self, other: KeptAccount) -> bool:
        """Whether nothing was released between two readings."""
        same = (self.records, self.account.plans) == (other.records, other.account.plans)
        return same and self.account.shown == other.account.shown


class TableAccounts:
    """Keeps the accounts.

    Args:
        state: the enclave's database, opened. All is written within its transactions.

    Attributes:
        noisy: the numbers that were told with noise.
        sums: which sums over owners this one gave its cells to.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state
        self.noisy: Final = NoisyNumbers(state)
        self.sums: Final = ToldSums(state)

    def read(self, epoch: int) -> KeptAccount:
        """Read the account of an epoch's records; empty if nothing was released about them."""
        records = self._records(epoch)
        row = self._state.get(_TABLE, self._key("account", records))
        return KeptAccount(
            TableAccount() if row is None else read_part(row.content, TableAccount), records, row
        )

    def write(self, kept: KeptAccount, after: TableAccount, now: datetime) -> None:
        """Write what an account is now, in the place of what was read in this transaction."""
        self.count(kept, after)
        all_told, row = self._all_told()
        others = tuple(each for each in all_told.told if each.records != kept.records)
        told = _Told(records=kept.records, at=now, days=after.rules.days)
        newest = _AllTold(told=(*others, told))
        self._state.put(_TABLE, self._key("told", 0), newest.model_dump_json().encode(), row)

    def count(self, kept: KeptAccount, after: TableAccount) -> None:
        """Write an account by which nothing more was told: other records need not wait for it."""
        content = after.model_dump_json().encode()
        self._state.put(_TABLE, self._key("account", kept.records), content, kept.row)

    def other_records_until(self, records: int, days: int) -> datetime | None:
        """Tell until when tables of these records wait for those of others; none if there are none.

        Args:
            records: of which tables are asked.
            days: how long the plan that is asked waits at least.
        """
        others = (each for each in self._all_told()[0].told if each.records != records)
        return max(
            (each.at + timedelta(days=max(days, each.days)) for each in others), default=None
        )

    def same_records(self, epoch: int, earlier: int) -> None:
        """Note that an epoch has the records of an earlier one, which its owner went back to."""
        content = _Records(account=self._records(earlier)).model_dump_json().encode()
        self._state.put(_TABLE, self._key("records", epoch), content)

    def _all_told(self) -> tuple[_AllTold, Row | None]:
        row = self._state.get(_TABLE, self._key("told", 0))
        return read_or_first(row and row.content, _AllTold), row

    def _records(self, epoch: int) -> int:
        row = self._state.get(_TABLE, self._key("records", epoch))
        return epoch if row is None else read_part(row.content, _Records).account

    def _key(self, what: str, epoch: int) -> bytes:
        return self._state.cipher.find(_TABLE, what, str(epoch))
