"""The label side of a vertical logistic regression: the bank, with labels and its own columns.

It asks, the room answers. Each message that it gives out it keeps until the answer is in
(`waiting`), and its state can be saved in between: a restarted side sends the same bytes again.

What it sees: its own gradient in every round, one number for each of its columns over all rows, and
the intercept's; the sum of residuals over its events; the room's part of nine dot products a round;
uniform shares of residuals; masked numbers; rows and rounds. Never: a row's logit or residual, the
room's columns, weights or gradient.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import foreign, messages, saved
from saferoom_models.vertical.columns import (
    GRADIENT_BITS,
    Finding,
    FindingKind,
    Prepared,
    check_exact,
    largest_gradient,
)
from saferoom_models.vertical.course import Course, Progress, Trained
from saferoom_models.vertical.descent import Block, inverse_hessian
from saferoom_models.vertical.messages import MessageKind
from saferoom_models.vertical.packing import Packing, products_modulo
from saferoom_models.vertical.points import COLUMN_BITS
from saferoom_models.vertical.scheme import DEGREE, MODULUS, Key, centred, scheme
from saferoom_models.vertical.sigmoid import RESIDUAL_BITS, split_sigmoid
from saferoom_models.vertical.terms import FEW_EVENTS, OWN_SUMS, SCALARS, Terms, check_events

STEEPEST_ODDS: Final = 6.0
"""Base rates beyond 1 in 400, either way, are outside what was measured."""


class LabelSide:
    """Asks through a training, from `begin` to a last answer after which `progress.over` holds."""

    def __init__(self, terms: Terms, columns: Prepared, labels: Integers) -> None:
        """Take up the labels and columns of a job that has not begun.

        Args:
            terms: of the job.
            columns: from `columns.prepare`, rows in the aligned order.
            labels: shape (rows,), 1 for an event, else 0.

        Raises:
            JointTrainingError: `BAD_COLUMNS`, `BAD_LABELS`, `FEW_EVENTS`, `NOT_EXACT`.
        """
        if columns.whole.shape != (terms.rows, terms.label_columns):
            raise JointTrainingError(Refusal.BAD_COLUMNS, "not as many rows or columns as agreed")
        self._terms, self._columns, self._labels = terms, columns, labels
        self.log_odds = _base_log_odds(terms, labels)
        """Of the base rate."""
        self._sigmoid = split_sigmoid(round(2 * self.log_odds) / 2, terms.rank, terms.spread)
        ones = np.ones(terms.rows, np.int64)
        sums = np.column_stack([ones, labels]) << COLUMN_BITS
        self._whole: Integers = np.hstack([columns.whole, sums])
        self._values: Floats = self._whole[:, :-1] / 2.0**COLUMN_BITS  # no weight for the labels
        check_exact(terms, self._whole, self._sigmoid.largest_residual)
        self._penalties: Floats = np.append(np.full(terms.label_columns, terms.penalty), 0.0)
        self._course = Course(terms, self._first_block())
        self._key, self._public = Key.fresh()
        self._share: Integers = np.zeros(0, np.int64)
        self._own_products: Floats = np.zeros(SCALARS)
        self._residuals: Floats = np.zeros(OWN_SUMS)
        self._exchange = 0
        self.waiting = b""
        """The message that waits for its answer; it can be sent again as it is."""

    def _first_block(self) -> Block:
        rate = float(self._labels.mean())
        inverse = inverse_hessian(self._values, rate * (1 - rate), self._penalties)
        weights = np.zeros(self._terms.label_columns + 1)
        weights[-1] = self.log_odds
        return Block(inverse, weights)

    @property
    def progress(self) -> Progress:
        """How far the training is."""
        return self._course.progress

    @property
    def separation(self) -> float:
        """Say how far the joint model of the last round tells events from other rows.

        It is the mean foretold risk of the rows with the event, less that of the others: 0 where
        the model tells nothing, 1 where it tells all.

        Source: Tjur, Coefficients of determination in logistic regression models (2009).
        """
        events = int(self._labels.sum())
        whole, of_events = self._residuals.tolist()
        return (of_events / events + 1) - (whole - of_events) / (self._terms.rows - events)

    def begin(self) -> bytes:
        """Give the opening: public key, rounded base rate, and the columns, sealed once."""
        if self.waiting or self._exchange:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the training has begun")
        packing = self._terms.label_packing
        sealed = [
            self._key.seal(scheme().coefficients(polynomial))
            for group in range(packing.groups)
            for polynomial in packing.polynomials(self._whole, group)
        ]
        rounded = round(2 * self.log_odds) / 2
        public = messages.write_scalars(np.append(rounded, self._sigmoid.marks()))
        return self._send(MessageKind.OPENING, [public, self._public, *sealed])

    def answer(self, message: bytes) -> bytes | None:
        """Take the room's answer to what waits, and give the next message; None when all is over.

        A refused message changes nothing: the right one may still come.

        Raises:
            JointTrainingError: what is wrong with it.
        """
        if self._course.over or not self.waiting:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "nothing was asked, or all is over")
        kind = messages.kind_of(self._exchange, of_room=True)
        parts = messages.read(message, self._terms, self._exchange, of_room=True)
        match kind:
            case MessageKind.SHARES:
                return self._seal_share(parts)
            case MessageKind.PRODUCTS:
                return self._take_products(parts)
            case MessageKind.SCALARS:
                self._settle(messages.read_scalars(parts[0]))
            case _:
                pass  # READY holds nothing
        if self._course.over:
            self.waiting = b""
            return None
        self._exchange += 1
        return self._send(MessageKind.LOGITS, self._seal_logits())

    def _send(self, kind: MessageKind, parts: list[bytes]) -> bytes:
        self.waiting = messages.write(self._terms, self._exchange, kind, parts)
        return self.waiting

    def _logits(self) -> Floats:
        return self._values @ self._course.block.weights

    def _seal_logits(self) -> list[bytes]:
        """Step 1: the label side's factors of the split logistic function, in slots."""
        return [
            self._key.seal(scheme().slots(factor[start : start + DEGREE]))
            for factor in self._sigmoid.label.factors(self._logits())
            for start in range(0, self._terms.rows, DEGREE)
        ]

    def _seal_share(self, parts: list[bytes]) -> bytes:
        """Step 3: make the share of the residuals, and seal it for the room's products."""
        masked = [
            scheme().read_slots(self._key.open(foreign.open_ciphertext(part, foreign.REPLY)))
            for part in parts
        ]
        own = self._sigmoid.label.addend(self._logits()) - self._labels
        whole = np.rint(own * 2**RESIDUAL_BITS).astype(np.int64)
        self._share = (np.concatenate(masked)[: self._terms.rows] + whole) % MODULUS
        self._exchange += 1
        chunks = self._terms.room_packing.split(self._share)
        sealed = [self._key.seal(scheme().coefficients(chunk)) for chunk in chunks]
        return self._send(MessageKind.RESIDUALS, sealed)

    def _take_products(self, parts: list[bytes]) -> bytes:
        """Step 5: read the own gradient; give back the room's masked numbers, and own products."""
        room, label = self._terms.room_packing, self._terms.label_packing
        masked = self._read_products(parts[: room.groups], room)
        crossed = self._read_products(parts[room.groups :], label)
        local = products_modulo(self._whole, self._share)
        sums = [(a + b) % MODULUS for a, b in zip(crossed, local, strict=True)]
        loss = centred(sums) / 2.0**GRADIENT_BITS
        if np.abs(loss).max() > largest_gradient(self._terms, self._sigmoid.largest_residual):
            raise JointTrainingError(Refusal.OUT_OF_RANGE, "a gradient that no rows can have")
        block = self._course.block
        self._residuals = loss[-OWN_SUMS:]
        own = block.products(loss[:-1] + self._penalties * block.weights)
        self._own_products = own
        self._exchange += 1
        return self._send(
            MessageKind.MASKED, [messages.write_residues(masked), messages.write_scalars(own)]
        )

    def _read_products(self, parts: list[bytes], packing: Packing) -> list[int]:
        found: list[int] = []
        for group, part in enumerate(parts):
            plain = self._key.open(foreign.open_ciphertext(part, foreign.REPLY))
            count = plain.coeff_count()
            found += [plain[at] if at < count else 0 for at in packing.places(group)]
        return found

    def _settle(self, room: Floats) -> None:
        """Step 7: end the round, as the room did."""
        self._course.settle(self._own_products, room)

    def trained(self) -> Trained:
        """Give the label side's part of the model.

        Raises:
            JointTrainingError: `NOT_FINISHED`.
        """
        weights = self._course.block.weights
        found = self._course.trained(self._columns, float(weights[-1]), weights[:-1])
        return replace(found, findings=(*self._few_events(), *found.findings))

    def _few_events(self) -> list[Finding]:
        events = int(min(self._labels.sum(), self._terms.rows - self._labels.sum()))
        columns = self._terms.label_columns + self._terms.room_columns
        if events >= FEW_EVENTS * columns:
            return []
        return [
            Finding(
                FindingKind.FEW_EVENTS,
                f"{events} events, {columns} columns",
                f"held by an inverse ridge of {self._terms.inverse_ridge}; "
                "do not read weights alone",
            )
        ]

    def save(self) -> bytes:
        """Give the state, the secret key in it; take it before `waiting` is sent."""
        arrays: dict[str, Floats | Integers] = self._course.save() | {
            "exchange": np.array([self._exchange]),
            "share": self._share,
            "own_products": self._own_products,
            "residuals": self._residuals,
        }
        return saved.write_state(
            arrays,
            {
                "terms": self._terms.digest,
                "columns": saved.columns_digest(self._columns, self._labels.tobytes()),
                "key": self._key.save(),
                "waiting": self.waiting,
            },
        )

    @classmethod
    def resume(cls, terms: Terms, columns: Prepared, labels: Integers, state: bytes) -> LabelSide:
        """Take up a saved state with the same terms, columns and labels.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        found = saved.read_state(state)
        saved.check_same(found, "terms", terms.digest)
        saved.check_same(found, "columns", saved.columns_digest(columns, labels.tobytes()))
        side = cls(terms, columns, labels)
        side._course.restore(found)
        side._key = Key.restore(found.data("key"))
        side._exchange = found.number("exchange")
        side._share = found.integers("share")
        side._own_products = found.floats("own_products")
        side._residuals = found.floats("residuals")
        side.waiting = found.data("waiting")
        return side


def _base_log_odds(terms: Terms, labels: Integers) -> float:
    if labels.shape != (terms.rows,) or not bool(np.isin(labels, (0, 1)).all()):
        raise JointTrainingError(Refusal.BAD_LABELS, "labels are 0 or 1, one for each row")
    events = int(labels.sum())
    rarer = min(events, terms.rows - events)
    if rarer == 0:
        raise JointTrainingError(Refusal.BAD_LABELS, "all labels are the same")
    check_events(terms, rarer)
    log_odds = math.log(events / (terms.rows - events))
    if abs(log_odds) > STEEPEST_ODDS:
        raise JointTrainingError(
            Refusal.BAD_LABELS, f"{rarer} of {terms.rows} rows differ; sample the others down first"
        )
    return log_odds
