"""Tables with noise, replayed: what each group of institutions was told of the same records.

An enclave says what a plan cost, what its asker's group has spent and the least cap of its plans.
All of that follows from the plans that it let out, which the log names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from saferoom_client.audit.tables import Records
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Agreement, Outcome, Privacy, TableRelease


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
        self._groups: Final[dict[str, CollusionGroups]] = {}

    def take(
        self, said: TableRelease, records: Records, privacy: Privacy | None, agreement: Agreement
    ) -> Iterator[SafeRoomError]:
        """Take an enclave's next word on tables; give what is wrong with it.

        Args:
            said: the word.
            records: what its tables are about.
            privacy: what its plan says.
            agreement: under which it was asked.
        """
        groups = self._groups.setdefault(said.owner, CollusionGroups())
        groups.take(agreement.institution, agreement.group)
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
        if privacy is None or said.privacy is None:
            return
        linked = [told.plans.get(each, {}) for each in groups.linked(agreement.group)]
        known = {plan: each for theirs in linked for plan, each in theirs.items()}
        # The enclave knows every agreement, and may have linked more groups than the log shows.
        anywhere = any(said.certificate in theirs for theirs in told.plans.values())
        free = anywhere and said.privacy.charged == 0
        if not free and said.privacy.charged != privacy.epsilon:
            detail = f"charged {said.privacy.charged}, and its plan tells {privacy.epsilon}"
            yield SafeRoomError(Reason.OVER_BUDGET, detail)
        if said.certificate in known and not free:
            yield SafeRoomError(Reason.CONFLICT, "its group was charged for the same plan twice")
        known[said.certificate] = privacy
        told.plans.setdefault(agreement.group, {})[said.certificate] = privacy
        spent = sum((each.epsilon for each in known.values()), Decimal(0))
        cap = min(each.cap for each in known.values())
        if said.privacy.spent < spent:
            detail = f"says that {said.privacy.spent} is spent, and {spent} had been told by then"
            yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        over = said.privacy.charged != 0 and max(spent, said.privacy.spent) > cap
        if over or said.privacy.cap > cap:
            yield SafeRoomError(Reason.OVER_BUDGET, f"its group may be told {cap} of these records")
