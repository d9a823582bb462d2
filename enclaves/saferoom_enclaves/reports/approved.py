"""What the owner approved of a report or a list, all of it public by law by the owner's schema.

Two schemas are looked at: that of the records in use, and the newest one. So a column whose level
its owner raises, or that it takes out of its schema, is told no more from the moment that the
enclave has heard of it, without a load.
"""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_enclaves.approved import approved, require_known
from saferoom_enclaves.children.jobs import TableWanted
from saferoom_enclaves.standing import Standing
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.public_part import derive_list_part, derive_report_part
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Column, Listing, Schema, Table
from saferoom_proto.statements.report import PUBLIC_LEVEL, ReportPart, ReportPartTable


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedReport:
    """This owner's part of a template of a report or a list, as its approvers signed it.

    Attributes:
        part: the tables and columns of a report; or the list.
        approvals: the digests of the approvals that count.
    """

    part: ReportPart | Listing
    approvals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicTable:
    """A table of the store, as far as a report tells of it: every column is public by law.

    Attributes:
        table: as its schema describes it.
        columns: those that are told, in the report's order.
    """

    table: Table
    columns: tuple[Column, ...]

    @property
    def wanted(self) -> TableWanted:
        """Give what a child is to read: no other column is so much as named to it.

        But for the key, by which each row is shown to be about the subject.
        """
        told = {column.name for column in self.columns}
        key = [each for each in self.table.columns if each.name == self.table.key]
        columns = [*(each for each in key if each.name not in told), *self.columns]
        if len(columns) == 1:  # a table has two: the second one is counted, and the count dropped
            columns += [each for each in self.table.columns if each.name not in told][:1]
        narrow = self.table.model_copy(update={"columns": tuple(columns)})
        withheld = tuple(column.name not in {*told, self.table.key} for column in columns)
        return TableWanted(table=narrow, withheld=withheld)


def approved_report(standing: Standing, template: str, certificate: str) -> ApprovedReport:
    """Give this owner's part of a known report or list under a certificate, by their digests.

    Raises:
        SafeRoomError: `CERTIFICATE_MISMATCH`, also for a template of another kind; `NOT_APPROVED`.
    """
    require_known(standing, template, certificate)
    owner = standing.charter.charter.owner
    known = standing.templates[template]

    def derived() -> OwnerPart:
        if known.report is not None and owner in known.report.owners:
            return derive_report_part(known.report, owner)
        if known.listing is not None and owner == known.listing.owner:
            return derive_list_part(known.listing)
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a template of another kind or owner")

    part, approvals = approved(standing, template, certificate, derived, lambda part: part)
    told = part.report or part.listing
    if told is None:
        raise SafeRoomError(Reason.INTERNAL, "a part of what is public that is none")
    return ApprovedReport(told, approvals)


def public_tables(
    part: ReportPart | Listing, standing: Standing, schema: str
) -> tuple[PublicTable, ...]:
    """Hold the columns of a report or a list to the levels of their owner's schemas.

    Of a list these are the columns that are told, those that its rows are held to, that which picks
    its firms, and wherever these are the one with the firm's code: a list tells who stands there.

    Args:
        part: a report's tables and columns; or a list.
        standing: has the schemas in force.
        schema: digest of that of the records in use.

    Raises:
        SafeRoomError: as `_public_tables`.
    """
    known = standing.schemas.get(schema)
    if isinstance(part, Listing):
        columns = part.read if known is None else part.read_under(known)
        part = ReportPart(
            tables=tuple(
                ReportPartTable(
                    table=name, columns=tuple(column for own, column in columns if own == name)
                )
                for name in part.tables
            )
        )
    return _public_tables(part, standing, schema)


def _public_tables(part: ReportPart, standing: Standing, schema: str) -> tuple[PublicTable, ...]:
    """Hold a report's columns to the levels of their owner's schemas.

    Args:
        part: the tables and columns.
        standing: has the schemas in force.
        schema: digest of that of the records in use.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a column that is not public by law by either schema, or
            that the newest one has no more; `NO_DATA` for one that the records do not have.
    """
    known, newest = standing.schemas.get(schema), standing.schemas.get(standing.schema or "")
    if known is None:
        raise SafeRoomError(Reason.NO_DATA, "the store's schema is not in force")
    # What is forbidden is so whether or not the records have the rest.
    for each in part.tables:
        for given in (known, newest):
            _require_public(each, given)
    found = tuple(_found(each, known) for each in part.tables)
    for each in found:
        _require_kept(each, newest)
    return found


def _require_public(asked: ReportPartTable, schema: Schema | None) -> None:
    for table in () if schema is None else schema.tables:
        for column in table.columns:
            told = table.name == asked.table and column.name in asked.columns
            if told and column.level > PUBLIC_LEVEL:
                detail = f"{table.name}.{column.name} is of level {column.level}"
                raise SafeRoomError(Reason.NOT_ALLOWED, detail)


def _require_kept(public: PublicTable, newest: Schema | None) -> None:
    """Refuse a column of the records that the newest schema has no more: nobody calls it public."""
    tables = () if newest is None else newest.tables
    kept = {(table.name, each.name) for table in tables for each in table.columns}
    for column in public.columns:
        if (public.table.name, column.name) not in kept:
            detail = f"the newest schema has no {public.table.name}.{column.name}"
            raise SafeRoomError(Reason.NOT_ALLOWED, detail)


def _found(asked: ReportPartTable, schema: Schema) -> PublicTable:
    for table in schema.loaded:
        if table.name == asked.table:
            columns = {column.name: column for column in table.columns}
            if missing := [name for name in asked.columns if name not in columns]:
                raise SafeRoomError(Reason.NO_DATA, f"{table.name} has no column {missing[0]}")
            return PublicTable(table, tuple(columns[name] for name in asked.columns))
    raise SafeRoomError(Reason.NO_DATA, f"the records have no table {asked.table}")
