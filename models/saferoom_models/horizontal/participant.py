"""A bank in a federated training: a machine that takes the aggregator's answers and gives messages.

What it sees: who takes part; in each round the sum over all banks that are left, everyone's masked
numbers and what opens their sum; never another bank's numbers. What it gives: its own, masked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from saferoom_models.arrays import Floats, Integers
from saferoom_models.horizontal import messages, sums
from saferoom_models.horizontal.columns import hold, prepare
from saferoom_models.horizontal.course import Course
from saferoom_models.horizontal.fit import Scaling, model_of
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.model import Finding, Model
from saferoom_models.horizontal.round import ROOT_BYTES, Held, Round
from saferoom_models.horizontal.terms import Terms
from saferoom_models.horizontal.unmasking import read_words, write_words
from saferoom_models.refusals import JointTrainingError, Refusal

_MAGIC: Final = b"SRFS\x00\x01"
_DIGEST_BYTES: Final = 32
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Own:
    """What a bank brings.

    Attributes:
        name: its own, among the members.
        key: the private half of its key in the terms.
        values: shape (rows, columns), in the terms' order; none missing.
        labels: shape (rows,), 1 for an event, else 0.
    """

    name: str
    key: Ed25519PrivateKey
    values: Floats
    labels: Integers


class Participant:
    """Takes part, from `begin` to the answer after which `over` holds."""

    def __init__(self, terms: Terms, own: Own, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take up what a bank brings to a training that has not begun.

        Raises:
            JointTrainingError: what is wrong with the rows; `BAD_TERMS` for a key or name that the
                terms do not have.
        """
        self._place = terms.place(own.name)
        if own.key.public_key().public_bytes_raw().hex() != terms.members[self._place].key:
            raise JointTrainingError(
                Refusal.BAD_TERMS, f"the terms name another key for {own.name} than is at hand"
            )
        self._terms, self._own, self._random = terms, own, random
        self._rows = prepare(terms, own.values, own.labels)
        self._standard: tuple[Floats, tuple[Finding, ...]] | None = None
        self._course = Course(terms)
        self._sums: list[tuple[int, Words]] = []
        self._round = self._take_up(Held(b""))  # its root is drawn when it begins
        self.waiting = b""
        """The message that waits for its answer; it can be sent again as it is."""

    def _next_round(self) -> Round:
        return self._take_up(Held(self._random(ROOT_BYTES)))

    def _take_up(self, held: Held) -> Round:
        return Round(self._course, self._place, self._own.key, held)

    @property
    def round(self) -> int:
        """The round that is due, 0 for the first."""
        return self._course.round

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What stood out in the own rows; it stays here."""
        following = self._course.fit
        held = self._held(following.scaling)[1] if following else ()
        return (*self._rows.findings, *held)

    @property
    def masked(self) -> bool:
        """Whether its numbers may have been sent, masked: then a sum of them may be open."""
        return self._course.round > 0 or self._round.held.awaited >= Kind.SURVIVORS

    @property
    def largest_answer(self) -> int:
        """How long an answer can be: a longer one need not be read."""
        return messages.largest_message(self._terms)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be summed."""
        return self._course.over

    @property
    def course(self) -> str:
        """The digest of terms and sums so far; the model follows from it."""
        return self._course.digest.hex()

    @property
    def banks(self) -> tuple[str, ...]:
        """Who was behind the last sum."""
        places = messages.members_of(self._course.banks)
        return tuple(self._terms.members[place].name for place in places)

    def begin(self) -> bytes:
        """Give the first message."""
        if self.waiting or self._sums:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the training has begun")
        self._round = self._next_round()
        self.waiting = self._round.begin()
        return self.waiting

    def answer(self, message: bytes) -> bytes | None:
        """Take the aggregator's answer, and give the next message; None when all is over.

        A refused message changes nothing: the right one may still come.

        Raises:
            JointTrainingError: what is wrong with it, or with training on.
        """
        if self.over or not self.waiting:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "nothing was asked, or all is over")
        match self._round.held.awaited:
            case Kind.PEERS:
                self.waiting = self._round.take_peers(message)
            case Kind.DEALT:
                self.waiting = self._round.take_dealt(message, self._numbers())
            case Kind.SURVIVORS:
                self.waiting = self._round.take_survivors(message)
            case Kind.CONFIRMATIONS:
                self.waiting = self._round.take_confirmations(message)
            case _:
                return self._end_round(self._round.take_sum(message))
        return self.waiting

    def _numbers(self) -> Words:
        """Sum the own rows as the round wants it."""
        following = self._course.fit
        if following is None:
            return sums.own_moments(self._rows)
        standard, _ = self._held(following.scaling)
        return sums.own_newton(standard, self._rows.labels, np.array(following.weights))

    def _held(self, scaling: Scaling) -> tuple[Floats, tuple[Finding, ...]]:
        if self._standard is None:
            self._standard = hold(self._terms, scaling.apply(self._rows.values))
        return self._standard

    def _end_round(self, total: Words) -> bytes | None:
        banks = self._round.held.survivors
        self._course.take(banks, total)
        self._sums.append((banks, total))
        self._round = self._next_round()
        self.waiting = b"" if self.over else self._round.begin()
        return self.waiting or None

    def model(self) -> Model:
        """Give the model as it stands: whole when `over`, else that of the last round.

        Raises:
            JointTrainingError: `NOT_FINISHED` before the first Newton round.
        """
        if self._course.fit is None or not self._course.fit.rounds:
            raise JointTrainingError(Refusal.NOT_FINISHED, "no round is over")
        return model_of(self._terms, self._course.fit)

    def _rows_digest(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self._own.values, np.float64).tobytes())
        digest.update(np.ascontiguousarray(self._own.labels, np.int64).tobytes())
        return digest.hexdigest()

    def save(self) -> bytes:
        """Save the state, secrets in it, for the bank to keep; take it before `waiting` is sent.

        Only the newest may ever be taken up: an older one could mask two vectors alike, or sign two
        sets for one round.
        """
        held = self._round.held
        state: Json = {
            "terms": self._terms.digest.hex(),
            "rows": self._rows_digest(),
            "sums": [[banks, write_words(total).hex()] for banks, total in self._sums],
            "waiting": self.waiting.hex(),
            "root": held.root.hex(),
            "keys": {str(place): body.hex() for place, body in held.keys.items()},
            "shares": {
                str(place): [hex(one) for one in pair] for place, pair in held.shares.items()
            },
            "survivors": held.survivors,
            "awaited": int(held.awaited),
        }
        body = json.dumps(state).encode()
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def resume(
        cls, terms: Terms, own: Own, state: bytes, random: Callable[[int], bytes] = os.urandom
    ) -> Participant:
        """Take up a saved state with the same terms and rows.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        participant = cls(terms, own, random)
        found = _read_state(state)
        for name, at_hand in (("terms", terms.digest.hex()), ("rows", participant._rows_digest())):
            if found[name] != at_hand:
                raise JointTrainingError(
                    Refusal.BAD_STATE, f"the state was saved with other {name}"
                )
        for banks, total in cast("list[tuple[int, str]]", found["sums"]):
            words = read_words(bytes.fromhex(total))
            participant._course.take(banks, words)
            participant._sums.append((banks, words))
        keys = cast("dict[str, str]", found["keys"])
        shares = cast("dict[str, list[str]]", found["shares"])
        held = Held(
            bytes.fromhex(cast("str", found["root"])),
            {int(place): bytes.fromhex(body) for place, body in keys.items()},
            {int(place): (int(pair[0], 16), int(pair[1], 16)) for place, pair in shares.items()},
            cast("int", found["survivors"]),
            Kind(cast("int", found["awaited"])),
        )
        participant._round = participant._take_up(held)
        participant.waiting = bytes.fromhex(cast("str", found["waiting"]))
        return participant


def _read_state(data: bytes) -> Json:
    start = len(_MAGIC) + _DIGEST_BYTES
    body = data[start:]
    if data[:start] != _MAGIC + hashlib.sha256(body).digest():
        raise JointTrainingError(
            Refusal.BAD_STATE, "the state is broken off, altered or another's; take up the newest"
        )
    return cast("Json", json.loads(body))
