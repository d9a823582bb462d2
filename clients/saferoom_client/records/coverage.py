"""How far the plan is carried out: which owner brought how much of which type, and when.

It is reckoned from words that stand in the log: an enclave's on each snapshot, with the rows of its
tables, and the schema that its owner signed. Nothing more leaves a store for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from saferoom_client.records.annex import Catalogue, InformationType
from saferoom_proto.statements import Schema, Snapshot


@dataclass(frozen=True, slots=True)
class Store:
    """What an owner's store holds by its enclave's last word on it."""

    schema: Schema
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Brought:
    """What one owner has brought of a type.

    Attributes:
        tables: of the type, that hold rows.
        rows: in all of them.
        loaded: when its enclave sealed the snapshot that it answers from.
        lacking: what the catalogue has and the owner's schema has not: tables, and columns as
            `table.column`.
    """

    owner: str
    tables: tuple[str, ...]
    rows: int
    loaded: datetime
    lacking: tuple[str, ...]

    def days(self, now: datetime) -> int:
        """Count the whole days since it was loaded."""
        return max(0, (now - self.loaded).days)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far one type is carried out.

    Attributes:
        overdue: the plan's month for it is over, and nobody has brought a row.
    """

    type: InformationType
    brought: tuple[Brought, ...]
    overdue: bool


def coverage(known: Catalogue, stores: Iterable[Store], now: datetime) -> tuple[Coverage, ...]:
    """Tell of every type of the catalogue who brought how much of it, and when."""
    held = sorted(stores, key=lambda store: store.snapshot.owner)
    told: list[Coverage] = []
    for one in known.types:
        brought = tuple(found for store in held if (found := _brought(one, store)) is not None)
        told.append(Coverage(one, brought, not brought and _is_over(one.due, now.date())))
    return tuple(told)


def _brought(one: InformationType, store: Store) -> Brought | None:
    rows, schema = store.snapshot.rows, {table.name: table for table in store.schema.tables}
    tables = tuple(form.name for form in one.tables if rows.get(form.name))
    if not tables:
        return None
    lacking: list[str] = []
    for form in one.tables:
        if form.name not in tables:
            lacking.append(form.name)
            continue
        columns = {column.name for column in schema[form.name].columns}
        lacking += [f"{form.name}.{each.name}" for each in form.columns if each.name not in columns]
    total = sum(rows[name] for name in tables)
    return Brought(store.snapshot.owner, tables, total, store.snapshot.time, tuple(lacking))


def _is_over(due: str, today: date) -> bool:
    """Tell whether a month is over; what is ongoing has none."""
    year, dash, month = due.partition("-")
    return bool(dash) and (today.year, today.month) > (int(year), int(month))
