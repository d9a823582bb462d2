"""The room's columns come from one or more owners, and its part of the model goes back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saferoom_models.arrays import Floats
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.columns import Prepared, prepare
from saferoom_models.vertical.course import Trained


@dataclass(frozen=True, slots=True)
class OwnerColumns:
    """One owner's columns, rows in the aligned order, values of shape (rows, columns)."""

    owner: str
    names: tuple[str, ...]
    values: Floats


def join_owners(owners: Sequence[OwnerColumns]) -> Prepared:
    """Put several owners' columns side by side, each named `owner.column`, and make them ready.

    Raises:
        JointTrainingError: `BAD_COLUMNS`, `NO_SUPPORT`.
    """
    if len({len(own.values) for own in owners}) != 1:
        raise JointTrainingError(Refusal.BAD_COLUMNS, "no owner, or owners with unlike row counts")
    if any("." in own.owner for own in owners):
        raise JointTrainingError(Refusal.BAD_COLUMNS, "an owner's name with a dot in it")
    names = [f"{own.owner}.{name}" for own in owners for name in own.names]
    return prepare(names, np.hstack([own.values for own in owners]))


def part_of_owner(trained: Trained, owner: str) -> Trained:
    """Take one owner's columns out of the room's part: what that owner's enclave scores with.

    Owners' points add up to the room's.
    """
    chosen = [at for at, name in enumerate(trained.names) if name.partition(".")[0] == owner]
    if not chosen:
        raise JointTrainingError(Refusal.BAD_COLUMNS, f"no column of {owner}")
    return replace(
        trained,
        names=tuple(trained.names[at] for at in chosen),
        weights=trained.weights[chosen],
        means=trained.means[chosen],
        scales=trained.scales[chosen],
    )
