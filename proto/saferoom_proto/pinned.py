"""Features as certificates pin them: a definition, and the digest of its statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.statements import Feature, FeatureKind, load

MAX_CHECK_LEVEL: Final = 3
"""Level 4 answers only whether a stated value matches (section 7): `FeatureKind.STATED`."""


@dataclass(frozen=True, slots=True)
class PinnedFeature:
    """A feature definition and the digest that pins it."""

    definition: Feature
    digest: str

    @property
    def ref(self) -> FeatureRef:
        """The name by which formulas know it."""
        return FeatureRef(self.definition.owner, self.definition.name)

    @property
    def shape(self) -> FeatureShape:
        """What a formula may compare it with."""
        definition = self.definition
        return FeatureShape(
            self.ref,
            definition.kind,
            definition.grid,
            tuple(cell.name for cell in definition.classes),
            definition.absent,
            None if definition.stated is None else definition.stated.form,
            fetched=definition.source is not None,
        )

    @property
    def may_be_asked(self) -> bool:
        """Whether any formula may ask of it: of level 4 only values that are stated."""
        definition = self.definition
        return definition.level <= MAX_CHECK_LEVEL or definition.kind is FeatureKind.STATED


def pin(envelopes: Iterable[Envelope]) -> dict[FeatureRef, PinnedFeature]:
    """Open feature statements and index them by name; signatures are the caller's to verify."""
    pinned = [PinnedFeature(load(each, Feature), each.digest) for each in envelopes]
    return {each.ref: each for each in pinned}
