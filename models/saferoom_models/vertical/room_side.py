"""The room's side of a vertical logistic regression: owners' columns, in a job enclave.

It answers, and holds no key: every reply is blinded (`blinding`). A message that comes again gets
the stored answer, byte for byte, so that a lost connection costs nothing and no second mask is ever
drawn for the same step.

What it sees: its own columns' gradient in every round (the first gives the class-mean differences
of its columns); the label side's part of nine dot products a round; the base rate's log-odds,
rounded to 0.5; rows, rounds, and how many columns the label side has. Never: a label, a row's logit
or residual, the label side's columns, weights or gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tenseal import sealapi as seal

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import foreign, messages, saved
from saferoom_models.vertical.blinding import Blinder, Term
from saferoom_models.vertical.columns import (
    GRADIENT_BITS,
    Prepared,
    check_exact,
    largest_gradient,
)
from saferoom_models.vertical.course import Course, Progress, Trained
from saferoom_models.vertical.descent import Block, inverse_hessian
from saferoom_models.vertical.messages import MessageKind
from saferoom_models.vertical.packing import products_modulo
from saferoom_models.vertical.scheme import DEGREE, MODULUS, Entropy, centred, scheme, uniform
from saferoom_models.vertical.sigmoid import (
    MARK_TOLERANCE,
    REACH,
    RESIDUAL_BITS,
    SplitSigmoid,
    split_sigmoid,
)
from saferoom_models.vertical.terms import Terms


@dataclass
class _Opened:
    """What the opening brought, ready for use."""

    message: bytes
    sigmoid: SplitSigmoid
    blinder: Blinder
    columns: list[list[seal.Ciphertext]]
    """The label side's, in NTT form, by group and chunk."""


class RoomSide:
    """Answers through a training, until `progress.over` holds."""

    def __init__(self, terms: Terms, columns: Prepared, entropy: Entropy) -> None:
        """Take up the columns of a job that has not begun.

        Args:
            terms: of the job.
            columns: from `owners.join_owners` or `columns.prepare`, rows in the aligned order.
            entropy: gives random bytes for masks; `os.urandom`.

        Raises:
            JointTrainingError: `BAD_COLUMNS`.
        """
        if columns.whole.shape != (terms.rows, terms.room_columns):
            raise JointTrainingError(Refusal.BAD_COLUMNS, "not as many rows or columns as agreed")
        self._terms, self._columns, self._entropy = terms, columns, entropy
        self._values = columns.values
        packing = terms.room_packing
        # Made once and kept for the job; a polynomial of zeros is no factor for SEAL.
        self._factors = [
            [
                scheme().multiplier(polynomial)
                for polynomial in packing.polynomials(columns.whole, group)
            ]
            for group in range(packing.groups)
        ]
        self._opened: _Opened | None = None
        self._course: Course | None = None
        self._share: Integers = np.zeros(0, np.int64)
        self._masks: Integers = np.zeros(0, np.int64)
        self._exchange = 0
        self._last = b""
        self._reply = b""

    @property
    def progress(self) -> Progress:
        """How far the training is."""
        return (
            self._course.progress if self._course else Progress(0, self._terms.rounds, 1.0, False)
        )

    def answer(self, message: bytes) -> bytes:
        """Answer the label side's next message; the last one again gets the same answer again.

        A refused message changes nothing. Save the state before the answer is sent.

        Raises:
            JointTrainingError: what is wrong with it.
        """
        fingerprint = messages.fingerprint(message)
        if self._last == fingerprint:
            return self._reply
        if self._course and self._course.over:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the training is over")
        parts = messages.read(message, self._terms, self._exchange, of_room=False)
        kind = messages.kind_of(self._exchange, of_room=False)
        match kind:
            case MessageKind.OPENING:
                answers = self._open(message, parts)
            case MessageKind.LOGITS:
                answers = self._share_residuals(parts)
            case MessageKind.RESIDUALS:
                answers = self._products(parts)
            case _:
                answers = self._settle(parts)
        of = messages.kind_of(self._exchange, of_room=True)
        self._reply = messages.write(self._terms, self._exchange, of, answers)
        self._last = fingerprint
        self._exchange += 1
        return self._reply

    def _open(self, message: bytes, parts: list[bytes]) -> list[bytes]:
        """Take the opening: key, base rate and sealed columns."""
        log_odds, *marks = messages.read_scalars(parts[0]).tolist()
        if abs(log_odds) > REACH or not (2 * log_odds).is_integer():
            raise JointTrainingError(Refusal.OUT_OF_RANGE, "a base rate's log-odds not in halves")
        sigmoid = split_sigmoid(log_odds, self._terms.rank, self._terms.spread)
        if np.abs(sigmoid.marks() - marks).max() > MARK_TOLERANCE:
            raise JointTrainingError(
                Refusal.OTHER_TERMS, "the other side splits the logistic function otherwise"
            )
        check_exact(self._terms, self._columns.whole, sigmoid.largest_residual)
        blinder = Blinder(foreign.open_public_key(parts[1]))
        chunks = self._terms.label_packing.chunks
        opened = [foreign.open_factor(part) for part in parts[2:]]
        columns = [opened[at : at + chunks] for at in range(0, len(opened), chunks)]
        rate = 1 / (1 + np.exp(-log_odds))
        penalties = np.full(self._terms.room_columns, self._terms.penalty)
        inverse = inverse_hessian(self._values, float(rate * (1 - rate)), penalties)
        self._course = Course(self._terms, Block(inverse, np.zeros(self._terms.room_columns)))
        self._opened = _Opened(message, sigmoid, blinder, columns)
        return []

    def _ready(self) -> tuple[_Opened, Course]:
        if self._opened is None or self._course is None:
            raise RuntimeError("no exchange after the opening is due before it")
        return self._opened, self._course

    def _share_residuals(self, parts: list[bytes]) -> list[bytes]:
        """Step 2: the split logistic function's products, less a uniform number for each row."""
        opened, course = self._ready()
        logits = self._values @ course.block.weights
        factors = opened.sigmoid.room.factors(logits)
        chunks = self._terms.slot_chunks
        hidden = uniform(chunks * DEGREE, self._entropy)
        replies: list[bytes] = []
        for chunk in range(chunks):
            rows = slice(chunk * DEGREE, (chunk + 1) * DEGREE)
            terms = [
                (foreign.open_factor(parts[k * chunks + chunk]), _slots_factor(factor[rows]))
                for k, factor in enumerate(factors)
            ]
            replies.append(opened.blinder.reply(terms, scheme().slots(-hidden[rows])))
        own = np.rint(opened.sigmoid.room.addend(logits) * 2**RESIDUAL_BITS).astype(np.int64)
        self._share = (hidden[: self._terms.rows] + own) % MODULUS
        return replies

    def _products(self, parts: list[bytes]) -> list[bytes]:
        """Step 4: the room's columns by the sealed share, sealed columns by the own share."""
        opened, _ = self._ready()
        room, label = self._terms.room_packing, self._terms.label_packing
        sealed = [foreign.open_factor(part) for part in parts]
        masks: list[Integers] = []
        replies: list[bytes] = []
        for group, factors in enumerate(self._factors):
            # Every coefficient is masked; what masks a result is kept to take it off again.
            mask = uniform(DEGREE, self._entropy)
            masks.append(mask[room.places(group)])
            terms: list[Term] = list(zip(sealed, factors, strict=True))
            replies.append(opened.blinder.reply(terms, scheme().coefficients(mask)))
        own = [scheme().multiplier(chunk) for chunk in label.split(self._share)]
        for group, columns in enumerate(opened.columns):
            # The label side may read its own columns' results, and nothing beside them.
            mask = uniform(DEGREE, self._entropy)
            mask[label.places(group)] = 0
            terms = list(zip(columns, own, strict=True))
            replies.append(opened.blinder.reply(terms, scheme().coefficients(mask)))
        self._masks = np.concatenate(masks)
        return replies

    def _settle(self, parts: list[bytes]) -> list[bytes]:
        """Step 6: take the masks off, and end the round with both sides' dot products."""
        opened, course = self._ready()
        masked = messages.read_residues(parts[0])
        label = messages.read_scalars(parts[1])
        local = products_modulo(self._columns.whole, self._share)
        sums = [
            (int(value) - int(mask) + own) % MODULUS
            for value, mask, own in zip(masked, self._masks, local, strict=True)
        ]
        loss = centred(sums) / 2.0**GRADIENT_BITS
        if np.abs(loss).max() > largest_gradient(self._terms, opened.sigmoid.largest_residual):
            raise JointTrainingError(Refusal.OUT_OF_RANGE, "a gradient that no rows can have")
        block = course.block
        own = block.products(loss + self._terms.penalty * block.weights)
        course.settle(label, own)
        return [messages.write_scalars(own)]

    def trained(self) -> Trained:
        """Give the room's part of the model.

        Raises:
            JointTrainingError: `NOT_FINISHED`.
        """
        if self._course is None:
            raise JointTrainingError(Refusal.NOT_FINISHED, "the training has not begun")
        return self._course.trained(self._columns, 0.0, self._course.block.weights)

    def save(self, *, whole: bool = True) -> bytes:
        """Give the state, masks and shares in it; take it before an answer is sent.

        Args:
            whole: with the opening, which is most of it and never changes. Who keeps that apart
                gives it to `resume` again.
        """
        arrays: dict[str, Floats | Integers] = self._course.save() if self._course else {}
        arrays |= {
            "exchange": np.array([self._exchange]),
            "share": self._share,
            "masks": self._masks,
        }
        return saved.write_state(
            arrays,
            {
                "terms": self._terms.digest,
                "columns": saved.columns_digest(self._columns),
                "opening": self._opened.message if self._opened and whole else b"",
                "opened": messages.fingerprint(self._opened.message) if self._opened else b"",
                "last": self._last,
                "reply": self._reply,
            },
        )

    @classmethod
    def resume(
        cls,
        terms: Terms,
        columns: Prepared,
        entropy: Entropy,
        state: bytes,
        opening: bytes = b"",
    ) -> RoomSide:
        """Take up a saved state with the same terms and columns.

        An opening that was kept apart from the state is given with it.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        found = saved.read_state(state)
        saved.check_same(found, "terms", terms.digest)
        saved.check_same(found, "columns", saved.columns_digest(columns))
        side = cls(terms, columns, entropy)
        if opening := opening or found.data("opening"):
            saved.check_same(found, "opened", messages.fingerprint(opening))
            side._open(opening, messages.read(opening, terms, 0, of_room=False))
            _, course = side._ready()
            course.restore(found)
        side._exchange = found.number("exchange")
        side._share, side._masks = found.integers("share"), found.integers("masks")
        side._last, side._reply = found.data("last"), found.data("reply")
        return side


def _slots_factor(values: Integers) -> seal.Plaintext | None:
    return scheme().factor(scheme().slots(values)) if values.any() else None
