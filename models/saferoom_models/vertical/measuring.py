"""How a joint model ranks rows held out: their counts by bands of the joint log-odds, with noise.

Neither side holds a joint score. Both cut log-odds at the same fixed edges, so that the band of a
sum is the sum of two numbers: the label side's cell, by the middle of which its own part is taken,
and how many bands the room's part lifts that middle. Its cells go sealed to the room, events and
others apart; the room multiplies them by who is lifted how far, adds up what comes to one band, and
blinds the sum with its noise in it. One message each way, after the last round.

What the label side learns: of each of 32 bands two counts with noise. What the room learns: nothing
(`docs/joint-training.md`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import foreign, messages, saved
from saferoom_models.vertical.blinding import Blinder
from saferoom_models.vertical.messages import MEASURING, MessageKind
from saferoom_models.vertical.scheme import DEGREE, MODULUS, Entropy, Key, scheme, uniform
from saferoom_models.vertical.sigmoid import REACH
from saferoom_models.vertical.terms import MEASURED_CELLS, Terms

STEP: Final = 0.25
"""Of log-odds, a band's width: on the card clients' rows the AUC by such bands is within 0.0005 of
that by rows (`tests/models/test_measured_rows.py`)."""
_LIFTS: Final = 2 * MEASURED_CELLS - 1
"""From the highest cell to the lowest band, to the lowest cell and the highest band."""
_EVENT: Final = 1 << 24
"""An event counts as so many others: both counts travel in one number."""

Blur = Callable[[Sequence[int]], Sequence[int]]
"""Adds noise to whole numbers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts of the rows held out, with noise, by bands of the joint log-odds, the lowest first.

    Attributes:
        middles: each band's middle, in log-odds; the outer two hold all beyond them.
        events, others: may be below nothing.
    """

    middles: tuple[float, ...]
    events: tuple[int, ...]
    others: tuple[int, ...]


def split_rows(job: str, rows: int, held: int) -> tuple[Integers, Integers]:
    """Choose which rows train and which are held out: alike on both sides, by the job's name.

    Returns:
        Places of those to train on, and of those held out; both ascending.
    """
    drawn = hashlib.shake_256(bytes.fromhex(job)).digest(8 * rows)
    order = np.argsort(np.frombuffer(drawn, "<u8"), kind="stable")
    return np.sort(order[held:]), np.sort(order[:held])


class LabelMeasuring:
    """Asks how the rows held out are ranked, and reads the answer."""

    def __init__(self, terms: Terms, points: Floats, labels: Integers, log_odds: float) -> None:
        """Take up what the label side knows of the rows held out.

        Args:
            terms: of the job.
            points: its part of each row's log-odds, the intercept with it.
            labels: 1 for an event, else 0.
            log_odds: of the base rate; bands lie around it.

        Raises:
            JointTrainingError: `BAD_COLUMNS` for another number of rows than was agreed.
        """
        if points.shape != (terms.measured,) or labels.shape != (terms.measured,):
            raise JointTrainingError(Refusal.BAD_COLUMNS, "not as many rows held out as agreed")
        self._terms, self._points, self._labels = terms, points, labels
        self._centre = round(2 * log_odds) / 2
        self._key, self._public = Key.fresh()
        self.waiting = b""
        """The message that waits for its answer; it can be sent again as it is."""

    def begin(self) -> bytes:
        """Give the one message: a fresh key, and who stands in which cell, sealed."""
        low = self._centre - STEP * MEASURED_CELLS / 2
        cells = np.floor((self._points - low) / STEP).astype(np.int64)
        counted = np.where(self._labels == 1, _EVENT, 1)
        packing = self._terms.measured_packing
        members = np.zeros((self._terms.measured, MEASURED_CELLS), np.int64)
        places = np.clip(cells, 0, MEASURED_CELLS - 1)
        members[np.arange(self._terms.measured), places] = counted
        sealed = [
            self._key.seal(scheme().coefficients(polynomial))
            for cell in range(MEASURED_CELLS)
            for polynomial in packing.polynomials(members, cell)
        ]
        parts = [messages.write_scalars(np.array([self._centre])), self._public, *sealed]
        self.waiting = messages.write(self._terms, MEASURING, MessageKind.MEASURE, parts)
        return self.waiting

    def answer(self, message: bytes) -> Measured:
        """Read the room's answer.

        Raises:
            JointTrainingError: what is wrong with it.
        """
        parts = messages.read(message, self._terms, MEASURING, of_room=True)
        sums = np.array([self._count(part) for part in parts], np.int64)
        signed = np.where(sums > MODULUS // 2, sums - MODULUS, sums)
        others = (signed + _EVENT // 2) % _EVENT - _EVENT // 2
        events = (signed - others) // _EVENT
        return self.measured(events.tolist(), others.tolist())

    def measured(self, events: Sequence[int], others: Sequence[int]) -> Measured:
        """Give counts with the bands that they are of."""
        middles = self._centre + STEP * (np.arange(MEASURED_CELLS) - (MEASURED_CELLS - 1) / 2)
        return Measured(tuple(middles.tolist()), tuple(events), tuple(others))

    def _count(self, part: bytes) -> int:
        plain = self._key.open(foreign.open_ciphertext(part, foreign.REPLY))
        return plain[DEGREE - 1] if plain.coeff_count() == DEGREE else 0

    def save(self) -> bytes:
        """Give the state, the secret key in it; take it before `waiting` is sent."""
        data = {"terms": self._terms.digest, "key": self._key.save(), "waiting": self.waiting}
        return saved.write_state({}, data)

    def restore(self, state: bytes) -> None:
        """Take up a saved state.

        Raises:
            JointTrainingError: `BAD_STATE`.
        """
        found = saved.read_state(state)
        saved.check_same(found, "terms", self._terms.digest)
        self._key, self.waiting = Key.restore(found.data("key")), found.data("waiting")


def measure(terms: Terms, points: Floats, message: bytes, entropy: Entropy, blur: Blur) -> bytes:
    """Be the room's side: count sealed cells by bands of the sum, with noise.

    Args:
        terms: of the job.
        points: the room's part of the log-odds of each row held out.
        message: the label side's.
        entropy: gives random bytes for masks; `os.urandom`.
        blur: adds noise to the counts, which are not known here: it is given noughts.

    Raises:
        JointTrainingError: what is wrong with the message.
    """
    # Step 1: the message is of the one form, and its bands lie where log-odds can.
    centre, key, *cells = messages.read(message, terms, MEASURING, of_room=False)
    middle = float(messages.read_scalars(centre)[0])
    if abs(middle) > REACH or not (2 * middle).is_integer():
        raise JointTrainingError(Refusal.OUT_OF_RANGE, "a base rate's log-odds not in halves")
    blinder, packing = Blinder(foreign.open_public_key(key)), terms.measured_packing
    # Step 2: how many bands each row is lifted from the middle of its cell, wherever that is.
    lifts = np.clip(np.floor(points / STEP + 0.5), -MEASURED_CELLS + 1, MEASURED_CELLS - 1)
    lifted = lifts.astype(np.int64)
    factors = [
        [scheme().multiplier(chunk) for chunk in packing.split((lifted == lift).astype(np.int64))]
        for lift in range(-MEASURED_CELLS + 1, MEASURED_CELLS)
    ]
    opened = [foreign.open_factor(part) for part in cells]
    # Step 3: what comes to one band is added up, and leaves with the noise of both its counts.
    noise = np.array(blur([0] * (2 * MEASURED_CELLS)), np.int64).reshape(MEASURED_CELLS, 2)
    replies: list[bytes] = []
    for band in range(MEASURED_CELLS):
        mask = uniform(DEGREE, entropy)
        mask[DEGREE - 1] = (noise[band, 0] + noise[band, 1] * _EVENT) % MODULUS
        terms_of_band = [
            (opened[cell * packing.chunks + chunk], factor)
            for cell, lift in _pairs(band)
            for chunk, factor in enumerate(factors[lift])
        ]
        replies.append(blinder.reply(terms_of_band, scheme().coefficients(mask)))
    return messages.write(terms, MEASURING, MessageKind.MEASURED, replies)


def _pairs(band: int) -> list[tuple[int, int]]:
    """Name the cells and lifts, both from 0, that come to a band; the outer ones hold the rest."""
    return [
        (cell, lift)
        for cell in range(MEASURED_CELLS)
        for lift in range(_LIFTS)
        if min(max(cell + lift - MEASURED_CELLS + 1, 0), MEASURED_CELLS - 1) == band
    ]
