"""An owner's part of the release certificate of tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from saferoom_proto.statements import Privacy, TableMeasure, TableRules
from saferoom_proto.statements.base import FeatureName, Part


class TableColumn(Part):
    """A column of tables: a feature, and the classes that subjects are in."""

    feature: FeatureName
    classes: tuple[str, ...]


class TablePart(Part):
    """What an owner's enclave lets out of tables: of everybody together, and of nobody."""

    columns: Annotated[tuple[TableColumn, ...], Field(min_length=1)]
    """In the order in which the plan names them; that of a share or histogram among them."""
    measures: tuple[TableMeasure, ...]
    tables: Annotated[int, Field(ge=1)]
    """One for each measure and margin."""
    cells: Annotated[int, Field(ge=1)]
    """The most numbers that can leave."""
    rules: TableRules
    privacy: Annotated[Privacy | None, Field(exclude_if=lambda each: each is None)] = None
    """With how much noise; then no rule but that of the days is kept to."""
    groups: Annotated[FeatureName | None, Field(exclude_if=lambda each: each is None)] = None
    """By which feature subjects of one legal group are one unit."""
