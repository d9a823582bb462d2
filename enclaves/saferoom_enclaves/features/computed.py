"""Features as an enclave computes them, and the rules that one can break only on the records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Feature
from saferoom_proto.statements.source import Source

ABSENT: Final = -1
"""The cell of a subject about whom a feature is unknown."""


class FeatureRule(StrEnum):
    """Why a feature is not computed, in words that are the same whatever the records."""

    NOT_ALLOWED = "its SQL, or the kind of its value, is not what a feature may have"
    LEVEL = "its level is below that of a column that it reads"
    SOURCE = "it reads tables of another source than it names, or of more than one"
    NO_SUBJECT = "a row has no subject, or none of 18 characters"
    SEVERAL_ROWS = "a subject has more than one row: aggregate by the subject"
    FAILED = "it fails on the records"
    MEMORY = "it needs more memory than a child has"
    TIME = "it takes more time than a child has"
    BROKE_DOWN = "the process that computed it broke down"


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """A feature as the enclave computes it.

    Attributes:
        shape: its name, kind, grid or classes, and what absence means.
        sql: gives every subject its value (`features.sql`).
        as_of: the date that `$as_of` stands for.
        level: how secret its values are; no lower than any column that it reads.
        class_values: for an unordered feature, the values of each class, in the classes' order.
        source: where its tables are asked for; none where they are the store's.
    """

    shape: FeatureShape
    sql: str
    as_of: date
    level: int
    class_values: tuple[tuple[str, ...], ...] = ()
    source: Source | None = None

    def __post_init__(self) -> None:
        """Refuses classes without values, and values in two classes."""
        values = [value for cell in self.class_values for value in cell]
        whole = len(self.class_values) == len(self.shape.classes) and all(self.class_values)
        if not whole or len(set(values)) != len(values):
            raise SafeRoomError(
                Reason.MALFORMED, f"{self.shape.ref}: each class has values of its own"
            )

    @classmethod
    def of(cls, feature: Feature) -> FeatureDefinition:
        """Takes what the owner's statement says."""
        shape = FeatureShape(
            FeatureRef(feature.owner, feature.name),
            feature.kind,
            feature.grid,
            tuple(cell.name for cell in feature.classes),
            feature.absent,
            None if feature.stated is None else feature.stated.form,
            fetched=feature.source is not None,
        )
        values = tuple(cell.values for cell in feature.classes)
        return cls(shape, feature.sql, feature.as_of, feature.level, values, feature.source)
