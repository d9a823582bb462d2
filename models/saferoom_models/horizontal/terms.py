"""What all banks hold to before the first message: the public numbers of one federated training."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from saferoom_models.refusals import JointTrainingError, Refusal

PROTOCOL: Final = "horizontal-logistic-1"

FEWEST_MEMBERS: Final = 3
"""With two, the sum less the own part is the other's part."""
MOST_MEMBERS: Final = 50

FEWEST_OWN_ROWS: Final = 200
"""Four times the rows that have to carry a sum (`columns.SUPPORT`)."""
FEWEST_ROWS: Final = 1_000
"""Of all banks together, as in a training of two sides."""
MOST_OWN_ROWS: Final = 300_000
MOST_COLUMNS: Final = 100
"""A round sums a number for each pair of columns: 5,151 for so many."""
MOST_ROUNDS: Final = 12
"""Newton steps; with a ridge five to eight are enough (`docs/federated-training.md`)."""
SHARE_OF_ROWS: Final = 3
"""What is learned, all numbers of all rounds, stays below a third of the rows."""

FEW_EVENTS: Final = 10
"""Events for each column, under which a weak ridge is refused: the usual rule of thumb."""
STRONG_RIDGE: Final = 0.1
"""The weakest inverse ridge for few events, as in a training of two sides."""
SMALLEST_RIDGE: Final = 1e-6
LARGEST_RIDGE: Final = 1e6

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LARGEST: Final = 1e15
"""Of a column's bounds: within it whole numbers are exact."""


@dataclass(frozen=True)
class Member:
    """A bank that takes part.

    Attributes:
        name: by which the others know it.
        key: Ed25519, in hexadecimal, made for this training; the bank's own key vouches for it.
    """

    name: str
    key: str


@dataclass(frozen=True)
class Column:
    """A column that every bank has.

    Attributes:
        name: of it.
        low, high: its bounds; values beyond are taken as these.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Terms:
    """The terms of one federated training; each message carries a digest that begins with them.

    Attributes:
        job: SHA-256, in hexadecimal, of what was agreed.
        members: the banks, in ascending order of their names.
        columns: the columns, in one order for all.
        inverse_ridge: scikit-learn's C; the intercept bears no ridge.
        rounds: the most Newton steps.
        fewest_own_rows: that each bank has to bring.
        tolerance: the largest entry of a Newton step, in standard deviations, that ends training.
    """

    job: str
    members: tuple[Member, ...]
    columns: tuple[Column, ...]
    inverse_ridge: float = 1.0
    rounds: int = MOST_ROUNDS
    fewest_own_rows: int = FEWEST_OWN_ROWS
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse terms that this protocol is not for."""
        if not FEWEST_MEMBERS <= len(self.members) <= MOST_MEMBERS:
            raise JointTrainingError(
                Refusal.TOO_FEW_MEMBERS
                if len(self.members) < FEWEST_MEMBERS
                else Refusal.BAD_TERMS,
                f"{len(self.members)} banks; {FEWEST_MEMBERS} to {MOST_MEMBERS} can train together",
            )
        names = [member.name for member in self.members]
        keys = {member.key for member in self.members}
        for name, fine in (
            ("job", _HEX.fullmatch(self.job) is not None),
            ("names of members", names == sorted(set(names)) and all(map(_NAME.fullmatch, names))),
            ("keys of members", len(keys) == len(names) and all(map(_HEX.fullmatch, keys))),
            ("columns", 1 <= len(self.columns) <= MOST_COLUMNS),
            ("inverse_ridge", SMALLEST_RIDGE <= self.inverse_ridge <= LARGEST_RIDGE),
            ("rounds", 1 <= self.rounds <= MOST_ROUNDS),
            ("fewest_own_rows", FEWEST_OWN_ROWS <= self.fewest_own_rows <= MOST_OWN_ROWS),
            ("tolerance", 1e-8 <= self.tolerance <= 1e-2),  # noqa: PLR2004 -- steps that tell
        ):
            if not fine:
                raise JointTrainingError(Refusal.BAD_TERMS, f"{name}: not as agreed terms may be")
        self._check_columns()

    def _check_columns(self) -> None:
        if len({column.name for column in self.columns}) != len(self.columns):
            raise JointTrainingError(Refusal.BAD_TERMS, "a column is named twice")
        for column in self.columns:
            bounds = (column.low, column.high)
            if not all(math.isfinite(each) and abs(each) <= _LARGEST for each in bounds) or (
                column.low >= column.high
            ):
                raise JointTrainingError(
                    Refusal.BAD_TERMS, f"column {column.name}: bounds {column.low}, {column.high}"
                )

    @cached_property
    def threshold(self) -> int:
        """How many banks must answer for a round to go on: more than two thirds.

        Then no server can make two sets of banks believe two things, even when fewer than a third
        of them help it: two sets of so many share more than a third.

        Source: Bonawitz and others, section 6.1, theorem 6.5.
        """
        return max(FEWEST_MEMBERS, 2 * len(self.members) // 3 + 1)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of these terms and the protocol's version."""
        whole = asdict(self) | {"protocol": PROTOCOL}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()

    @property
    def penalty(self) -> float:
        """What half the sum of squared weights is multiplied by in the loss."""
        return 1.0 / self.inverse_ridge

    @property
    def moments_size(self) -> int:
        """How many numbers the first round sums (`sums.Moments`)."""
        return 3 + 4 * len(self.columns)

    @property
    def newton_size(self) -> int:
        """How many numbers each later round sums (`sums.Newton`)."""
        weights = len(self.columns) + 1
        return 3 + weights + weights * (weights + 1) // 2

    def size(self, round_number: int) -> int:
        """How many numbers a round sums."""
        return self.newton_size if round_number else self.moments_size

    def place(self, name: str) -> int:
        """Find a member.

        Raises:
            JointTrainingError: `BAD_TERMS`.
        """
        for place, member in enumerate(self.members):
            if member.name == name:
                return place
        raise JointTrainingError(Refusal.BAD_TERMS, f"{name} is no member of this training")


def agreed_terms(
    job: str,
    keys: Mapping[str, str],
    columns: Iterable[tuple[str, float, float]],
    *,
    inverse_ridge: float,
    rounds: int,
    fewest_own_rows: int,
) -> Terms:
    """Put together what was agreed: the same terms for whoever puts the same together.

    Args:
        job: SHA-256, in hexadecimal, of what was agreed.
        keys: each bank's, by its name.
        columns: name and bounds of each.
        inverse_ridge: of `Terms`, and so are the others.
        rounds: likewise.
        fewest_own_rows: likewise.

    Raises:
        JointTrainingError: `BAD_TERMS`, `TOO_FEW_MEMBERS`.
    """
    return Terms(
        job,
        tuple(Member(name, keys[name]) for name in sorted(keys)),
        tuple(Column(*column) for column in columns),
        inverse_ridge,
        rounds,
        fewest_own_rows,
    )


def check_numbers(terms: Terms, rows: int, events: int) -> None:
    """Check that rows and events of all banks together suffice for what is to be learned of them.

    Args:
        terms: of the training.
        rows: of all banks.
        events: of all banks; those of the rarer label count.

    Raises:
        JointTrainingError: `TOO_FEW_ROWS`, `TOO_MANY_NUMBERS`, `BAD_LABELS`, `FEW_EVENTS`.
    """
    if rows < FEWEST_ROWS:
        raise JointTrainingError(
            Refusal.TOO_FEW_ROWS, f"{rows} rows of all banks; at least {FEWEST_ROWS} are needed"
        )
    most = terms.moments_size + terms.rounds * terms.newton_size
    if most * SHARE_OF_ROWS > rows:
        raise JointTrainingError(
            Refusal.TOO_MANY_NUMBERS,
            f"{most} numbers would be learned of {rows} rows, over a {SHARE_OF_ROWS}rd; "
            "take fewer columns or rounds, or more rows",
        )
    rarer = min(events, rows - events)
    if rarer <= 0:
        raise JointTrainingError(Refusal.BAD_LABELS, "the labels of all banks are all the same")
    if rarer < FEW_EVENTS * len(terms.columns) and terms.inverse_ridge > STRONG_RIDGE:
        raise JointTrainingError(
            Refusal.FEW_EVENTS,
            f"{rarer} events for {len(terms.columns)} columns, under {FEW_EVENTS} each, want an "
            f"inverse ridge of at most {STRONG_RIDGE}; or take fewer columns",
        )
