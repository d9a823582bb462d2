"""A made-up city of 1,400 firms in a store, and what the catalogue offers over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from saferoom_client.draft_budget import with_budget
from saferoom_client.records.annex import TableForm, catalogue
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.offers import OfferedFeature, offers
from saferoom_enclaves.engine import connect
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.materialise import Materialised, materialise
from saferoom_proto.encoding import dump
from saferoom_proto.statements.feature import Absent, Feature, Table
from simulator.world import ROOM
from tests.client.made_city import AS_OF, city_rows

FIRMS: Final = 1400
OWNER: Final = "city"
"""One steward of every feed, so that one store has all tables."""
_MEMORY: Final = 1 << 30


def tables_of(forms: Sequence[TableForm]) -> dict[str, Table]:
    """Give tables as `schema draft` makes them."""
    return {table.name: table for table in draft_tables(forms, [], [])}


def feature_of(offered: OfferedFeature, owner: str = OWNER) -> Feature:
    """Give a feature as an owner that takes the draft signs it."""
    draft = with_budget({"room": ROOM, "owner": owner, **offered.draft(AS_OF)})
    return Feature.model_validate_json(dump(draft))


@dataclass(frozen=True, slots=True)
class City:
    """The store, and every offered feature over it.

    Attributes:
        told: what became of the features, in the order of the offers.
    """

    store: duckdb.DuckDBPyConnection
    tables: dict[str, Table]
    features: dict[str, Feature]
    told: Materialised

    def cells(self, name: str) -> dict[int, int]:
        """Count the firms of each cell; silence is in the lowest where it means no, else -1."""
        column = self.told.columns[[*self.features].index(name)]
        silent = 0 if self.features[name].absent is Absent.FALSE else -1
        counted: dict[int, int] = {}
        for cell in column.tolist():
            placed = silent if cell < 0 else cell
            counted[placed] = counted.get(placed, 0) + 1
        return counted


@cache
def city(firms: int = FIRMS) -> City:
    """Make it; in a process that tests, once."""
    tables = tables_of([*catalogue().tables.values()])
    store = connect(_MEMORY)
    with TemporaryDirectory() as folder:
        for name, table in tables.items():
            path = Path(folder) / f"{name}.csv"
            path.write_bytes(city_rows(firms)[name][0])
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            store.execute(f'CREATE TABLE "{name}" ({columns})')
            store.execute(f"COPY \"{name}\" FROM '{path}' (HEADER false, NULLSTR '')")
            path.unlink()
    features = {each.name: feature_of(each) for each in offers().features.values()}
    definitions = [FeatureDefinition.of(each) for each in features.values()]
    return City(store, tables, features, materialise(store, definitions, tables))
