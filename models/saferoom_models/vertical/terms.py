"""What both sides hold to before the first message: the public numbers of one joint training."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.packing import Packing, pack_plain, pack_sealed
from saferoom_models.vertical.scheme import DEGREE, NAME

PROTOCOL: Final = "vertical-logistic-1"
MEMORY: Final = 4
"""Steps that L-BFGS remembers (`descent`)."""
SCALARS: Final = 2 * MEMORY + 1

OWN_SUMS: Final = 2
"""Sums of residuals that the label side reads beside its columns' gradients: over all rows, its
intercept's, and over those with the event, by which it knows how far the model tells them."""

FEWEST_ROWS: Final = 1_000
"""A gradient is a sum over all rows; over fewer it would say too much of each."""
MOST_ROWS: Final = 300_000
"""So many were run (`docs/numbers.md`); `columns.check_exact` bounds them by arithmetic too."""
MOST_COLUMNS: Final = 500
MOST_ROUNDS: Final = 25
SHARE_OF_ROWS: Final = 3
"""What a side learns, a number for each column and round, stays below a third of the rows."""

FEW_EVENTS: Final = 10
"""Events for each column, under which a weak ridge is refused: the usual rule of thumb."""
STRONG_RIDGE: Final = 0.1
"""The weakest inverse ridge for few events: with 1.6 events a column 0.1 still met the pooled fit's
coefficients (correlation 0.9996) and 1.0 did not (0.945)."""
SAFE_RIDGE: Final = 0.02
"""What is proposed then (correlation 0.99998 there)."""

MEASURED_CELLS: Final = 32
"""Cells of one side's log-odds, and bands of both sides' (`measuring`)."""
MOST_MEASURED: Final = 2 * DEGREE
"""Rows held out: two polynomials for each cell, 13 MB in all."""
HELD_OUT: Final = 4
"""One row of so many is held out, where the model is measured."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Terms:
    """The terms of one joint training; each message carries their digest.

    Attributes:
        job: SHA-256, in hexadecimal, of what was approved: the job and its template.
        rows: the aligned subjects.
        label_columns: columns on the label side, its intercept not counted.
        room_columns: columns on the room's side, of all its owners together.
        inverse_ridge: scikit-learn's C; the intercept bears no ridge.
        rank: products into which the logistic function is split (`sigmoid`): 2, 4, 6 or 8.
        spread: standard deviation of logits where that split is most exact.
        rounds: the most rounds.
        tolerance: the preconditioned gradient's norm, of its first value, at which training ends.
        measured: rows beside these, held out, on which the model is measured; 0 where it is not.
    """

    job: str
    rows: int
    label_columns: int
    room_columns: int
    inverse_ridge: float = 1.0
    rank: int = 4
    spread: float = 1.5
    rounds: int = MOST_ROUNDS
    tolerance: float = 0.002
    measured: int = 0

    def __post_init__(self) -> None:
        """Refuse terms that this protocol is not for."""
        if self.rows < FEWEST_ROWS:
            raise JointTrainingError(
                Refusal.TOO_FEW_ROWS, f"{self.rows} rows; at least {FEWEST_ROWS} are needed"
            )
        if self.rows > MOST_ROWS:
            raise JointTrainingError(
                Refusal.TOO_MANY_ROWS, f"{self.rows} rows; at most {MOST_ROWS}: train on a sample"
            )
        for name, fine in (
            ("job", _HEX.fullmatch(self.job) is not None),
            ("label_columns", 1 <= self.label_columns <= MOST_COLUMNS),
            ("room_columns", 1 <= self.room_columns <= MOST_COLUMNS),
            ("inverse_ridge", math.isfinite(self.inverse_ridge) and self.inverse_ridge > 0),
            ("rank", self.rank in {2, 4, 6, 8}),
            ("spread", 1.0 <= self.spread <= 3.0),  # noqa: PLR2004 -- what was measured, and around
            ("rounds", 1 <= self.rounds <= MOST_ROUNDS),
            ("tolerance", 0 < self.tolerance < 1),
            ("measured", 0 <= self.measured <= MOST_MEASURED),
        ):
            if not fine:
                raise JointTrainingError(Refusal.BAD_TERMS, f"{name}: {getattr(self, name)!r}")
        most = max(self.label_columns + OWN_SUMS, self.room_columns) * self.rounds
        if most * SHARE_OF_ROWS > self.rows:
            raise JointTrainingError(
                Refusal.TOO_MANY_NUMBERS,
                f"a side would learn {most} numbers of {self.rows} rows, over a {SHARE_OF_ROWS}rd; "
                "take fewer columns or rounds, or more rows",
            )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of these terms, the protocol's version and the scheme's parameters."""
        whole = asdict(self) | {"protocol": PROTOCOL, "scheme": NAME}
        if not self.measured:
            del whole["measured"]  # as terms were before there was such a thing
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()

    @cached_property
    def label_packing(self) -> Packing:
        """How the label side's columns, its intercept and its labels are sealed."""
        return pack_sealed(self.rows, self.label_columns + OWN_SUMS)

    @cached_property
    def room_packing(self) -> Packing:
        """How the room's columns are packed, and residuals sealed for them."""
        return pack_plain(self.rows, self.room_columns)

    @property
    def measured_packing(self) -> Packing:
        """How the cells of the rows held out are sealed: each by itself, to be added up anyhow."""
        return Packing(self.measured, MEASURED_CELLS, 1)

    @property
    def slot_chunks(self) -> int:
        """Ciphertexts that one number a row needs, in slots."""
        return -(-self.rows // DEGREE)

    @property
    def penalty(self) -> float:
        """What half the sum of squared weights is multiplied by in the loss."""
        return 1.0 / self.inverse_ridge


def rows_held_out(rows: int) -> int:
    """Say how many of so many rows are held out where the model is measured."""
    return min(rows // HELD_OUT, MOST_MEASURED)


def propose_ridge(events: int, columns: int) -> float:
    """Propose an inverse ridge for a job, from its events and both sides' columns.

    Few events for each column leave the weights undetermined; a stronger ridge holds them.
    """
    return 1.0 if events >= FEW_EVENTS * columns else SAFE_RIDGE


def check_events(terms: Terms, events: int) -> None:
    """Check that the ridge is strong enough for the events there are.

    Args:
        terms: of the job.
        events: rows of the rarer label.

    Raises:
        JointTrainingError: `FEW_EVENTS`.
    """
    columns = terms.label_columns + terms.room_columns
    if events < FEW_EVENTS * columns and terms.inverse_ridge > STRONG_RIDGE:
        raise JointTrainingError(
            Refusal.FEW_EVENTS,
            f"{events / columns:.1f} events for each of {columns} columns, under {FEW_EVENTS}, "
            f"want an inverse ridge of at most {STRONG_RIDGE}; {SAFE_RIDGE} is proposed; "
            "or take fewer columns",
        )
