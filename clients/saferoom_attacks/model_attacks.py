"""The attacks on models that are trained in a room: what cards tell of one row.

Whoever knows all records but one secret of one row, and has the software, draws splits of its own,
sees which cards each value of the secret gives, and tells by a linear discriminant which one the
room's card is of. That is more than a shadow model needs: Shokri et al., S&P 2017; Carlini et al.,
"Membership inference attacks from first principles", S&P 2022; attributes: Yeom et al., CSF 2018;
labels from an AUC: Matthews and Harel, "An examination of data confidentiality and disclosure
issues related to publication of empirical ROC curves", 2013.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from saferoom_attacks.attack import Chance
from saferoom_attacks.wager import Bet, Guess, Wager
from saferoom_proto.statements import Title

if TYPE_CHECKING:
    from saferoom_models.pooled.rows import Parts

ROWS: Final = 1000
"""The fewest that a template may ask for."""
RIDGES: Final = (0.01, 1.0)
TREES: Final = (5.0, 10.0)
"""How many of seven leaves, in the place of a ridge."""
LEAVES: Final = 7
TARGET: Final = 0
OFTEN: Final = 0.3
LARGE, GIANT = 20.0, 2000.0
"""Two amounts of the largest firm."""
_FEWEST_CARDS: Final = 30
_PRIOR: Final = 0.5
_HELD_OUT: Final = ROWS // 4
_ADVANTAGE: Final = 0.1 + math.sqrt(-math.log(0.001) / 2 * ROWS / ((ROWS - _HELD_OUT) * _HELD_OUT))
"""An attack by the loss may have so much: 0.10 beyond what chance gives at so few rows, once in a
thousand models. More withholds a model."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Records:
    """What an owner holds.

    Attributes:
        values: shape (rows, columns).
        labels: 1 for the event.
    """

    values: Floats
    labels: Integers


class CardOracle(Protocol):
    """Trains models of records and tells their cards."""

    @property
    def asked(self) -> int:
        """How many models were trained."""
        ...

    def cards(self, records: Records, chosen: Sequence[float], count: int, seed: int) -> Floats:
        """Tell the cards of so many rooms that hold the same records.

        Returns:
            Of each room a row: for each inverse ridge the weights, AUC and KS; or, for each number
            of trees, AUC, KS and membership. What is held out is another in each room, and nobody's
            to know.
        """
        ...


def records_of(chance: Chance, *, amount: float = 1.0, rate: float = -1.0) -> Records:
    """Make firms: an amount of which few are large, as amounts are, a flag, and who has arrears."""
    dice = np.random.default_rng(chance.seed)
    values = np.column_stack([dice.lognormal(size=ROWS), (dice.random(ROWS) < OFTEN).astype(float)])
    values[TARGET, 0] = amount
    odds = rate - 0.3 * np.log(values[:, 0]) + 0.8 * values[:, 1]
    labels = (dice.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return Records(values, labels)


def either_amount(chance: Chance) -> tuple[Records, Records]:
    """Make firms of which the largest has one of two amounts; nothing else differs."""
    one, other = (records_of(chance, amount=amount) for amount in (LARGE, GIANT))
    return one, replace(other, labels=one.labels)


def giant(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from cards how much the largest firm has."""
    return _told_apart(oracle, either_amount(chance), chance)


def label(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from cards at several ridges whether a firm like many had the event."""
    return _told_apart(oracle, _with_either_label(records_of(chance)), chance)


def label_of_the_largest(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from cards at several ridges whether the largest firm had the event.

    It is no attack of the suite: nothing bounds what a card tells of a firm that lies out, and
    docs/attacks.md says how much it is.
    """
    return _told_apart(oracle, _with_either_label(records_of(chance, amount=GIANT)), chance)


def auc(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from AUC and KS alone, of few events, whether one firm had it."""
    records = records_of(chance, rate=-2.8)
    return _told_apart(oracle, _with_either_label(records), chance, slice(2, 4))


def tree_label(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from cards of trees whether a firm like many had the event."""
    return _told_apart(oracle, _with_either_label(records_of(chance)), chance, chosen=TREES)


def tree_member(oracle: CardOracle, chance: Chance) -> list[Guess]:
    """Tell from cards of trees whether a firm's row is among them, or another's in its place."""
    there = records_of(chance)
    values, labels = there.values.copy(), there.labels.copy()
    values[TARGET], labels[TARGET] = (0.05, 1.0), 1  # it pays little, has the flag, and the event
    return _told_apart(oracle, (there, Records(values, labels)), chance, chosen=TREES)


def _with_either_label(records: Records) -> tuple[Records, Records]:
    found: list[Records] = []
    for value in (0, 1):
        labels = records.labels.copy()
        labels[TARGET] = value
        found.append(replace(records, labels=labels))
    return found[0], found[1]


def _told_apart(
    oracle: CardOracle,
    either: tuple[Records, Records],
    chance: Chance,
    figures: slice = slice(None),
    chosen: Sequence[float] = RIDGES,
) -> list[Guess]:
    """Learn from half of the cards what each secret's look like, and guess of the others."""
    count = max(_FEWEST_CARDS, chance.rounds)
    seeds = (2 * chance.seed, 2 * chance.seed + 1)
    told = [
        oracle.cards(each, chosen, 2 * count, seed)[:, figures]
        for each, seed in zip(either, seeds, strict=True)
    ]
    known = [each[:count] for each in told]
    means = [each.mean(axis=0) for each in known]
    spread = np.vstack([each - mean for each, mean in zip(known, means, strict=True)])
    width: Floats = spread.T @ spread / len(spread) + 1e-6 * np.eye(spread.shape[1])
    toward = cast("Floats", np.linalg.solve(width, means[1] - means[0]))
    middle = float(toward @ (means[0] + means[1])) / 2
    return [
        Guess(_PRIOR if (at := float(card @ toward)) == middle else float((at > middle) == truth))
        for truth, each in enumerate(told)
        for card in each[count:]
    ]


class OpenFits:
    """Trains without what protects: models as they come, split as everybody knows.

    Args:
        ends: columns are brought within their ends.
        secret: which rows are held out is nobody's to know, and figures are rounded.
        trees: boosting is trained, else logistic regression.
    """

    def __init__(self, *, ends: bool, secret: bool, trees: bool = False) -> None:
        self._ends: Final = ends
        self._secret: Final = secret
        self._trees: Final = trees
        self._count = 0

    @property
    def asked(self) -> int:
        """How many models were trained."""
        return self._count

    def cards(self, records: Records, chosen: Sequence[float], count: int, seed: int) -> Floats:
        """Tell the cards of so many rooms."""
        # scikit-learn is not there where nothing is trained.
        from saferoom_models.pooled.rows import Parts, ends_of, split  # noqa: PLC0415

        dice = np.random.default_rng(seed)
        told: list[list[float]] = []
        at = np.arange(ROWS)
        for _ in range(count if self._secret else 2):
            parts = Parts(at[at % 4 != 1], at[at % 4 == 1])
            if self._secret:
                parts = split(records.labels, dice.bytes(32), 4)
            train = records.values[parts.train]
            train = np.clip(train, *ends_of(train, 50)) if self._ends else train
            card = [
                figure for each in chosen for figure in self._figures(records, train, parts, each)
            ]
            told.append([round(each, 2) for each in card] if self._secret else card)
        rows: Floats = np.resize(np.array(told), (count, len(told[0])))
        return rows

    def _figures(
        self, records: Records, train: Floats, parts: Parts, chosen: float
    ) -> Sequence[float]:
        """Train, and give what a card tells of it."""
        from saferoom_models.pooled import boosting, logistic  # noqa: PLC0415
        from saferoom_models.pooled.measure import measure  # noqa: PLC0415

        self._count += 1
        labels = records.labels[parts.train]
        if self._trees:
            trees = boosting.fit(train, labels, trees=int(chosen), leaves=LEAVES, fewest=50)
            found = measure(trees.log_odds(records.values), records.labels, parts)
            return found.auc, found.ks, found.membership
        model = logistic.fit(("amount", "flag"), train, labels, chosen)
        found = measure(model.log_odds(records.values), records.labels, parts)
        return *model.weights.tolist(), found.auc, found.ks


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


_BY_GATE: Final = _words("the advantage beyond which a model is withheld", "超出即不发放模型的优势")
_OPEN_SPLIT: Final = _words(
    "who is held out is known, and figures are exact", "公开留出样本, 且数字精确"
)
_LIKE_MANY: Final = _PRIOR + _ADVANTAGE / 2

_on_cards: Final[Callable[..., Wager[CardOracle]]] = Wager

MODEL_ATTACKS: Final[tuple[Wager[CardOracle], ...]] = (
    _on_cards(
        Bet(
            "model-giant",
            _words("tells from cards how much the largest firm has", "由模型卡推断最大企业的数额"),
            _PRIOR,
            _PRIOR,
            _words("nothing: fifty rows are at a column's end", "不得获知: 每列两端至少 50 行"),
            _words("columns are not brought within their ends", "各列不收至端值"),
        ),
        giant,
        lambda _: OpenFits(ends=False, secret=True),
    ),
    _on_cards(
        Bet(
            "model-label",
            _words(
                "tells from cards at two ridges whether one firm had the event",
                "由两种正则强度的模型卡推断一家企业是否发生事件",
            ),
            _PRIOR,
            _LIKE_MANY,
            _BY_GATE,
            _OPEN_SPLIT,
        ),
        label,
        lambda _: OpenFits(ends=True, secret=False),
    ),
    _on_cards(
        Bet(
            "model-auc",
            _words(
                "tells from AUC and KS of few events whether one firm had it",
                "由少量事件的 AUC 与 KS 推断一家企业是否发生事件",
            ),
            _PRIOR,
            _LIKE_MANY,
            _BY_GATE,
            _OPEN_SPLIT,
        ),
        auc,
        lambda _: OpenFits(ends=True, secret=False),
    ),
    _on_cards(
        Bet(
            "trees-label",
            _words(
                "tells from cards of trees whether one firm had the event",
                "由提升树的模型卡推断一家企业是否发生事件",
            ),
            _PRIOR,
            _LIKE_MANY,
            _BY_GATE,
            _OPEN_SPLIT,
        ),
        tree_label,
        lambda _: OpenFits(ends=True, secret=False, trees=True),
    ),
    _on_cards(
        Bet(
            "trees-member",
            _words(
                "tells from cards of trees whether a firm is among the rows",
                "由提升树的模型卡推断一家企业是否在训练数据之中",
            ),
            _PRIOR,
            _LIKE_MANY,
            _BY_GATE,
            _OPEN_SPLIT,
        ),
        tree_member,
        lambda _: OpenFits(ends=True, secret=False, trees=True),
    ),
)
