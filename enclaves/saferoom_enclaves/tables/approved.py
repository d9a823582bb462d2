"""What the owner approved of tables: a plan over features in force, derived at each request."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.approved import ApprovedUses, approved, require_conjoined, require_known
from saferoom_enclaves.pairing import Hiding
from saferoom_enclaves.standing import Standing
from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate
from saferoom_proto.table_parts import derive_table_part
from saferoom_proto.tables.asked import plan_of
from saferoom_proto.tables.plan import ReleasePlan


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedTables:
    """A template of tables and its certificate, as this owner's approvers signed them.

    Attributes:
        aggregate: what the template asks of this owner.
        owners: of a sum, all whose cells are added up; of this owner's tables none.
        certificate: digest of its release certificate.
        features: those that it reads, by name.
        approvals: the digests of the approvals that count.
        hiding: of a sum, what hides this owner's cells from the asker.
    """

    aggregate: Aggregate
    owners: tuple[str, ...]
    certificate: str
    features: Mapping[FeatureRef, PinnedFeature]
    approvals: tuple[str, ...]
    hiding: Hiding | None

    def require_computed(self, computed: AbstractSet[FeatureRef]) -> None:
        """Refuse with `NO_DATA` unless the features that it reads are among those there."""
        if missing := self.features.keys() - computed:
            raise SafeRoomError(Reason.NO_DATA, f"not computed: {min(map(str, missing))}")

    def plan(self, epoch: int) -> ReleasePlan:
        """Give the plan, about a period of the store."""
        shapes = {ref: pinned.shape for ref, pinned in self.features.items()}
        return plan_of(self.aggregate, shapes, epoch)


def approved_tables(
    standing: Standing, uses: ApprovedUses, template: str, certificate: str
) -> ApprovedTables:
    """Give the approved tables of a known template under a certificate, by their digests.

    Args:
        standing: what is in force: the statements, and this owner's features.
        uses: agrees with other owners on what hides parts of a sum.
        template: digest of the template.
        certificate: digest of its release certificate.

    Raises:
        SafeRoomError: `CERTIFICATE_MISMATCH`, also for a template of another kind; `NOT_APPROVED`.
    """
    require_known(standing, template, certificate)
    owner: Final = standing.charter.charter.owner
    asked = standing.templates[template].aggregate
    if asked is None or owner not in asked.asked_of:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a template of another kind or owner")
    aggregate, charter, known = asked, None, standing.certificates[certificate]
    if asked.owners:
        # Among fewer than all owners it would hide its cells by less, whatever was signed.
        require_conjoined(known, asked.owners)
        aggregate, charter = asked.of(owner), standing.charter.digest

    def derived() -> OwnerPart:
        return derive_table_part(aggregate, standing.features, charter)

    part, approvals = approved(standing, template, certificate, derived, lambda part: part)
    refs = (FeatureRef.parse(name) for name in aggregate.features)
    features = {ref: standing.features[ref] for ref in refs}
    hiding = uses.hiding(part, known)
    return ApprovedTables(aggregate, asked.owners, certificate, features, approvals, hiding)
