"""What became of the cells of tables, in the closed form in which it is kept and told."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from saferoom_proto.statements.base import FeatureName, Part


class ShownMargin(Part):
    """What became of each cell of one margin.

    Attributes:
        columns: in the order of their names.
        became: a character for each cell: `+` it left, `-` it was withheld, `.` nobody asked.
    """

    columns: tuple[FeatureName, ...]
    became: Annotated[str, StringConstraints(pattern=r"^[-+.]+$")]


class ShownFamily(Part):
    """What became of the cells of counts, or of one feature's sums."""

    of: FeatureName | None
    margins: tuple[ShownMargin, ...]


class SumBounds(Part):
    """Between which bounds a feature's values were added up."""

    feature: FeatureName
    low: float
    high: float
