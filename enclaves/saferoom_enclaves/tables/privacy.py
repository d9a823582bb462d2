"""The ledger of epsilon: what tables with noise told of the same records, and to which groups.

Noise is made once for a plan and the records that it is about, and kept: whoever asks gets the same
numbers, so nobody averages it away, and a group is charged for a plan once. What linked groups were
told counts to each of them (`collusion`). What is spent follows from the plans that were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.aggregate import Privacy
from saferoom_proto.statements.base import Digest, Part
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.tables.told import Numbers

_TABLE: Final = "tables"
MOST_NUMBERS: Final = 400_000
"""Of all plans with noise about the same records: each is kept, some 20 bytes, 8 MiB of them."""


class ToldWithNoise(Part):
    """That a group was told the tables of a plan, with noise.

    Attributes:
        group: the collusion group, as its agreement named it then.
        plan: digest of the plan's certificate.
        privacy: what they told, and the cap that the plan sets.
        numbers: how many there are.
    """

    group: str
    plan: Digest
    privacy: Privacy
    numbers: int


def price(
    told: ToldWithNoise, before: Sequence[ToldWithNoise], linked: Sequence[str]
) -> PrivacySpent:
    """Reckon what a plan costs its asker's group, within its cap or not, by the plans alone.

    Args:
        told: what it would be told.
        before: what was told of the same records, to whomever.
        linked: the groups that share what they learn with the asker's, its own among them.
    """
    theirs = {each.plan: each.privacy for each in before if each.group in linked}
    spent = sum((each.epsilon for each in theirs.values()), Decimal(0))
    charged = Decimal(0) if told.plan in theirs else told.privacy.epsilon
    cap = min([told.privacy.cap, *(each.cap for each in theirs.values())])
    return PrivacySpent(charged=charged, spent=spent + charged, cap=cap)


@dataclass(frozen=True, slots=True)
class PaidNoise:
    """A plan with noise that was paid for.

    Attributes:
        paid: with what.
        told: to which group, if it is answered.
        made: whether its numbers were made before: they are kept, and told again.
    """

    paid: PrivacySpent
    told: ToldWithNoise
    made: bool

    def after(self, noisy: tuple[ToldWithNoise, ...]) -> tuple[ToldWithNoise, ...]:
        """Give what was told to whom, once it is answered."""
        return tuple(dict.fromkeys((*noisy, self.told)))


def pay(
    told: ToldWithNoise, before: Sequence[ToldWithNoise], linked: Sequence[str]
) -> PrivacySpent:
    """Charge a plan to its asker's group, or refuse it; as `price`.

    Raises:
        SafeRoomError: `OVER_BUDGET`; `TOO_LARGE` if too many numbers would be kept.
    """
    kept = {each.plan: each.numbers for each in (*before, told)}
    if sum(kept.values()) > MOST_NUMBERS:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_NUMBERS} numbers in all plans")
    priced = price(told, before, linked)
    if not priced.within:
        detail = f"epsilon: it would come to {priced.spent}, and {priced.cap} is the cap"
        raise SafeRoomError(Reason.OVER_BUDGET, detail)
    return priced


class _Kept(Part):
    numbers: tuple[Numbers, ...]


class NoisyNumbers:
    """Keeps the numbers of each plan as they were told first.

    Args:
        state: the enclave's database, opened. All is written within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def read(self, records: int, plan: str) -> tuple[Numbers, ...]:
        """Read the numbers of a plan that was told about these records.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if they are not there: made anew, they could be averaged.
        """
        row = self._state.get(_TABLE, self._key(records, plan))
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, f"no row of {_TABLE}")
        return read_part(row.content, _Kept).numbers

    def keep(self, records: int, plan: str, numbers: tuple[Numbers, ...]) -> None:
        """Keep a plan's numbers, which it has none of yet."""
        content = _Kept(numbers=numbers).model_dump_json().encode()
        self._state.put(_TABLE, self._key(records, plan), content)

    def _key(self, records: int, plan: str) -> bytes:
        return self._state.cipher.find(_TABLE, "noisy", str(records), plan)
