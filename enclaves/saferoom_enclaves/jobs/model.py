"""The room's part of a model, as a child writes it: which weights are of which owner's columns."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, ValidationError

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part


class _Finding(Part):
    kind: str
    place: str
    detail: str


class _Model(Part):
    """Column by column; no scale is told of one that was left out."""

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float | None, ...]
    findings: tuple[_Finding, ...]


def columns_of_model(model: bytes) -> tuple[str, ...]:
    """Name the columns of a model.

    Raises:
        SafeRoomError: `MALFORMED` for what is none.
    """
    return _read(model).names


def part_of_model(model: bytes, names: tuple[str, ...]) -> bytes:
    """Take the part of a model that is of some columns: an owner's.

    What stood out in the course of the training goes with every part; what stood out in a column
    goes with that column's.

    Raises:
        SafeRoomError: `MALFORMED` for a model without these columns.
    """
    whole = _read(model)
    if not set(names) <= set(whole.names):
        raise SafeRoomError(Reason.MALFORMED, "a model of other columns")
    places = [whole.names.index(name) for name in names]
    others = set(whole.names) - set(names)
    part = _Model(
        names=names,
        weights=tuple(whole.weights[at] for at in places),
        means=tuple(whole.means[at] for at in places),
        scales=tuple(whole.scales[at] for at in places),
        findings=tuple(
            each for each in whole.findings if not any(_tells_of(each, name) for name in others)
        ),
    )
    return json.dumps(part.model_dump(), allow_nan=False, separators=(",", ":")).encode()


def _tells_of(finding: _Finding, name: str) -> bool:
    """Tell whether a finding's place is a column, or two of which it is one: "a, b"."""
    place = finding.place
    return place == name or place.startswith(f"{name}, ") or place.endswith(f", {name}")


def _read(model: bytes) -> _Model:
    try:
        whole = _Model.model_validate_json(model)
    except ValidationError:
        raise SafeRoomError(Reason.MALFORMED, "a model") from None
    if len({len(whole.names), len(whole.weights), len(whole.means), len(whole.scales)}) != 1:
        raise SafeRoomError(Reason.MALFORMED, "a model of unlike lengths")
    return whole
