"""What a report template asks: which columns of whose tables, all of them public by law."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.statements.base import Owner, Part, distinct

PUBLIC_LEVEL: Final = 1
"""Public by law (JR/T 0197, as DESIGN section 7 reads it): told without consent and without charge,
and logged."""
MOST_OWNERS: Final = 12
"""Of one report: each part has up to 1 MiB, and a client takes 16 MiB in one message."""
MOST_TABLES: Final = 64
MOST_COLUMNS: Final = 64

Columns = Annotated[
    tuple[Owner, ...],
    Field(min_length=1, max_length=MOST_COLUMNS),
    AfterValidator(distinct),
]


class ReportTable(Part):
    """Columns of one table of an owner."""

    owner: Owner
    table: Owner
    columns: Columns


class Report(Part):
    """What is told of one subject: the rows about it, of these columns.

    Rows that are alike in these columns are told once, in the order of what is told: neither their
    number nor their order says anything of a column that is not.
    """

    tables: Annotated[tuple[ReportTable, ...], Field(min_length=1, max_length=MOST_TABLES)]

    @model_validator(mode="after")
    def _each_once(self) -> Report:
        if len({(each.owner, each.table) for each in self.tables}) != len(self.tables):
            raise ValueError("a table stands in it once")
        if len(self.owners) > MOST_OWNERS:
            raise ValueError(f"a report is of {MOST_OWNERS} owners at most")
        return self

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose tables it is of, in order of their names."""
        return tuple(sorted({each.owner for each in self.tables}))

    @property
    def columns(self) -> tuple[str, ...]:
        """What it tells, each as `owner.table.column`, for people."""
        return tuple(
            f"{each.owner}.{each.table}.{column}" for each in self.tables for column in each.columns
        )


class ReportPartTable(Part):
    """Columns of one table, where it is plain whose."""

    table: Owner
    columns: Columns


class ReportPart(Part):
    """What one owner's enclave tells: these columns, as long as each is public by law.

    Which are is no part of it: the owner's schema says so, and its enclave looks there at every
    request. A schema that raises a column's level stops the report at once.
    """

    tables: Annotated[tuple[ReportPartTable, ...], Field(min_length=1, max_length=MOST_TABLES)]

    @classmethod
    def of(cls, report: Report, owner: str) -> ReportPart:
        """Give an owner's part of a report."""
        own = (each for each in report.tables if each.owner == owner)
        return cls(
            tables=tuple(ReportPartTable(table=each.table, columns=each.columns) for each in own)
        )
