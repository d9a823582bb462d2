"""Why a batch was refused as a whole: an enclave's word gives the reason, and here is the place.

Its asker wrote the parameters and holds the grids, so it finds by itself what the enclave found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from saferoom_client.batch import Batch
from saferoom_client.values import TemplateView
from saferoom_proto.batch import ROW_BYTES, Row, split
from saferoom_proto.formula import bind, parse_formula
from saferoom_proto.reasons import FieldFault, SafeRoomError

_MOST_TOLD: Final = 20


def faults_of(batch: Batch, view: TemplateView) -> list[FieldFault]:
    """Name the parameters of a batch that are off their features' grids, by their first rows."""
    return list(islice(_faults(batch, view), _MOST_TOLD))


def _faults(batch: Batch, view: TemplateView) -> Iterator[FieldFault]:
    if view.template.kind != "Check":
        return  # a score has no parameters
    node = parse_formula(view.template.check)
    shapes = {ref: each.shape for ref, each in view.features.items()}
    sets = batch.request.params
    for number, params in enumerate(sets):
        try:
            bind(node, params, shapes)
        except SafeRoomError as error:
            row = "" if len(sets) == 1 else f"rows[{_first_row(batch, number)}]."
            yield from (FieldFault(f"{row}{each.field}", each.rule) for each in error.fields)


def _first_row(batch: Batch, number: int) -> int:
    """Give the first row that is asked with a set of parameters."""
    rows = (Row.from_bytes(row) for (row,) in split(batch.packed, ROW_BYTES))
    return next(at for at, row in enumerate(rows) if row.parameters == number)
