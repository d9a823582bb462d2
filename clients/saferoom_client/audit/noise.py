"""Tables with noise, replayed: what each group of institutions was told of the same records.

An enclave says what a plan cost, what its asker's group has spent and the least cap of its plans.
All of that follows from the plans that it let out and from the agreements that it had heard of,
which the log holds. So what is charged and spent is one number, and any other one is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from saferoom_client.audit.tables import Records
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, Privacy, PrivacySpent, TableRelease


@dataclass(slots=True)
class _Told:
    """What left about the same records.

    Attributes:
        plans: of each group, what its plans with noise told, by their certificates.
        plainly: whether any table left without noise.
    """

    plans: dict[str, dict[str, Privacy]] = field(default_factory=dict[str, dict[str, Privacy]])
    plainly: bool = False


class Noise:
    """What tables with noise told, by records and groups, in the order of each enclave's chain."""

    def __init__(self) -> None:
        self._told: Final[dict[Records, _Told]] = {}

    def take(
        self,
        said: TableRelease,
        records: Records,
        privacy: Privacy | None,
        group: str,
        linked: Sequence[str],
    ) -> Iterator[SafeRoomError]:
        """Take an enclave's next word on tables; give what is wrong with it.

        Args:
            said: the word.
            records: what its tables are about.
            privacy: what its plan says.
            group: the asker's.
            linked: the groups that share what they learn with it, itself among them.
        """
        if said.outcome is not Outcome.ANSWERED:
            return
        told = self._told.setdefault(records, _Told())
        told.plainly |= privacy is None
        if told.plainly and told.plans:
            yield SafeRoomError(Reason.CONFLICT, "of the same records with noise, and without")
        if (privacy is None) != (said.privacy is None):
            yield SafeRoomError(
                Reason.CERTIFICATE_MISMATCH, "it says of noise what its plan does not"
            )
        if privacy is not None and said.privacy is not None:
            known = {plan: each for one in linked for plan, each in told.plans.get(one, {}).items()}
            yield from _paid(said.certificate, privacy, said.privacy, known)
            told.plans.setdefault(group, {})[said.certificate] = privacy


def _paid(
    plan: str, privacy: Privacy, paid: PrivacySpent, known: Mapping[str, Privacy]
) -> Iterator[SafeRoomError]:
    """Hold what is said to be charged, spent and allowed to what was told by then.

    Args:
        plan: what is told now.
        privacy: what it says.
        paid: what its enclave says.
        known: what its asker's group and those that it is linked with were told before.
    """
    if plan in known and paid.charged != 0:
        yield SafeRoomError(Reason.CONFLICT, "its group was charged for the same plan twice")
    elif plan not in known and paid.charged != privacy.epsilon:
        detail = f"charged {paid.charged}, and its plan tells {privacy.epsilon}"
        yield SafeRoomError(Reason.OVER_BUDGET, detail)
    told = {**known, plan: privacy}
    spent = sum((each.epsilon for each in told.values()), Decimal(0))
    cap = min(each.cap for each in told.values())
    if paid.spent < spent:
        detail = f"says that {paid.spent} is spent, and {spent} had been told by then"
        yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
    over = paid.charged != 0 and max(spent, paid.spent) > cap
    if over or paid.cap > cap:
        yield SafeRoomError(Reason.OVER_BUDGET, f"its group may be told {cap} of these records")
