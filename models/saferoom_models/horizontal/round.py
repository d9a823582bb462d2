"""One round of secure aggregation, as a bank takes part in it.

1. KEYS: two fresh public keys and a commitment to the seed of the own mask, signed.
2. SHARES: seed and masking key in shares, one of each for every bank, sealed to it.
3. MASKED: the own numbers, plus a mask for the seed and one for every other bank.
4. CONFIRMED: the set of banks whose numbers came, signed. A bank signs one set a round.
5. OPENED: for each of them a share of the seed; for each bank that is gone a share of the masking
   key. Never both, and only once enough banks have signed the very same set.

Source: Bonawitz and others (2017), figure 4, with the consistency check of active adversaries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from saferoom_models.horizontal import masks, shamir
from saferoom_models.horizontal.course import Course
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.messages import (
    CONFIRMED_BYTES,
    KEYS_BYTES,
    MARKS_BYTES,
    SEALED_BYTES,
    Due,
    Kind,
    Pieces,
    body_length,
    members_of,
    read,
    read_from_each,
    set_of,
    write,
    write_set,
)
from saferoom_models.horizontal.unmasking import (
    masking_key,
    open_sum,
    pair_mask,
    sealing_key,
    write_words,
)
from saferoom_models.refusals import JointTrainingError, Refusal

ROOT_BYTES: Final = 32


@dataclass(slots=True)
class Held:
    """What a bank keeps between the messages of a round; the root and shares are secret.

    Attributes:
        root: 32 random bytes, from which the bank's own secrets of the round follow.
        keys: bodies of KEYS, by place.
        shares: of each bank's seed and masking key, the own ones too, by place.
        survivors: the set that was signed; 0 before.
        awaited: the answer that is due.
    """

    root: bytes
    keys: dict[int, bytes] = field(default_factory=dict[int, bytes])
    shares: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    survivors: int = 0
    awaited: Kind = Kind.PEERS


class Round:
    """A bank's side of one round; each step takes the aggregator's answer to the step before."""

    def __init__(self, course: Course, place: int, key: Ed25519PrivateKey, held: Held) -> None:
        """Take up a round.

        Args:
            course: so far; it is not changed here.
            place: the bank's own.
            key: the private half of its key in the terms.
            held: of this round.
        """
        self._course, self._place, self._key = course, place, key
        self._due: Due = course.due
        self.held = held

    def _own(self, purpose: bytes) -> bytes:
        return masks.of_root(self.held.root, purpose, self._due.context)

    def _secrets(self) -> tuple[bytes, bytes]:
        return self._own(b"seed"), self._own(b"masking key")

    def _message(self, kind: Kind, body: bytes) -> bytes:
        return write(self._due, kind, self._place, body, self._key)

    def begin(self) -> bytes:
        """Give KEYS."""
        seed, masking = self._secrets()
        public = masks.public_key(self._own(b"sealing key")) + masks.public_key(masking)
        return self._message(Kind.KEYS, public + masks.commit(seed))

    def take_peers(self, answer: bytes) -> bytes:
        """Take everyone's keys, and give SHARES.

        Raises:
            JointTrainingError: what is wrong with the answer; `LEFT_OUT`, `TOO_FEW_MEMBERS`.
        """
        pieces = Pieces(read(answer, self._due, Kind.PEERS).body)
        banks = self._set_with_self(pieces, self._course.banks)
        found = read_from_each(pieces, self._due, Kind.KEYS, banks, KEYS_BYTES)
        pieces.end()
        keys = {place: message.body for place, message in found.items()}
        publics = [key for body in keys.values() for key in (sealing_key(body), masking_key(body))]
        if len(set(publics)) != len(publics):
            raise JointTrainingError(Refusal.REPEATED_POINT, "a public key comes twice")
        if found[self._place].data != self.begin():
            raise JointTrainingError(Refusal.NOT_SIGNED, "this bank's own keys come back altered")
        agreed = {
            place: masks.agree(self._own(b"sealing key"), sealing_key(body))
            for place, body in keys.items()
            if place != self._place
        }
        for place in agreed:
            masks.agree(self._own(b"masking key"), masking_key(keys[place]))  # refused in time
        message = self._deal(banks, agreed)
        self.held.keys, self.held.awaited = keys, Kind.DEALT
        return message

    def _set_with_self(self, pieces: Pieces, within: int) -> int:
        """Read a set of enough banks, this one among them."""
        banks = pieces.banks(self._due.terms)
        if not banks >> self._place & 1:
            raise JointTrainingError(
                Refusal.LEFT_OUT, "the others went on without this bank; its numbers stay hidden"
            )
        if banks & ~within:
            raise JointTrainingError(Refusal.OUT_OF_RANGE, "a set with banks that were not there")
        if banks.bit_count() < self._due.terms.threshold:
            raise JointTrainingError(
                Refusal.TOO_FEW_MEMBERS,
                f"{banks.bit_count()} banks are left; {self._due.terms.threshold} must be",
            )
        return banks

    def _deal(self, banks: int, agreed: Mapping[int, bytes]) -> bytes:
        terms = self._due.terms
        dealt = [
            shamir.split(
                secret,
                len(terms.members),
                terms.threshold,
                masks.drawing(self._own(purpose)),
            )
            for secret, purpose in zip(
                self._secrets(), (b"seed shares", b"key shares"), strict=True
            )
        ]
        pairs = {place: (dealt[0][place], dealt[1][place]) for place in members_of(banks)}
        self.held.shares = {self._place: pairs[self._place]}
        sealed = [
            masks.seal(secret, self._due.context, bytes((self._place, place)), _write(pairs[place]))
            for place, secret in agreed.items()
        ]
        marks = [_marks(pair) for pair in pairs.values()]
        return self._message(Kind.SHARES, write_set(banks) + b"".join(sealed + marks))

    def take_dealt(self, answer: bytes, own: Words) -> bytes:
        """Take the shares that others dealt, and give MASKED.

        Args:
            answer: of the aggregator.
            own: what this bank adds to the sum.

        Raises:
            JointTrainingError: what is wrong with the answer; `LEFT_OUT`, `BAD_SHARE`.
        """
        pieces = Pieces(read(answer, self._due, Kind.DEALT).body)
        banks = self._set_with_self(pieces, set_of(self.held.keys))
        shares = {self._place: self.held.shares[self._place]}
        masked = own + masks.own_mask(self._secrets()[0], self._due.context, len(own))
        for place in members_of(banks):
            if place == self._place:
                continue
            shares[place] = self._open_share(
                place, pieces.take(SEALED_BYTES), pieces.take(MARKS_BYTES)
            )
            secret = masks.agree(self._secrets()[1], masking_key(self.held.keys[place]))
            masked += pair_mask(self._due, secret, self._place, place, len(own))
        pieces.end()
        self.held.keys = {place: self.held.keys[place] for place in members_of(banks)}
        self.held.shares, self.held.awaited = shares, Kind.SURVIVORS
        return self._message(Kind.MASKED, write_words(masked))

    def _open_share(self, place: int, sealed: bytes, marks: bytes) -> tuple[int, int]:
        secret = masks.agree(self._own(b"sealing key"), sealing_key(self.held.keys[place]))
        direction = bytes((place, self._place))
        data = masks.open_sealed(secret, self._due.context, direction, sealed)
        pair = (
            shamir.read_share(data[: shamir.SHARE_BYTES]),
            shamir.read_share(data[shamir.SHARE_BYTES :]),
        )
        if _marks(pair) != marks:
            raise JointTrainingError(
                Refusal.BAD_SHARE,
                f"{self._due.terms.members[place].name} dealt another share than it committed to",
            )
        return pair

    def take_survivors(self, answer: bytes) -> bytes:
        """Take the set of banks whose numbers came, and give CONFIRMED for it, once.

        Raises:
            JointTrainingError: what is wrong with the answer; `LEFT_OUT`, `NEAR_SETS`.
        """
        pieces = Pieces(read(answer, self._due, Kind.SURVIVORS).body)
        survivors = self._set_with_self(pieces, set_of(self.held.keys))
        pieces.end()
        self._course.check(survivors)
        self.held.survivors, self.held.awaited = survivors, Kind.CONFIRMATIONS
        return self._message(Kind.CONFIRMED, confirmed_body(self.held.keys, survivors))

    def take_confirmations(self, answer: bytes) -> bytes:
        """Take the others' signatures on the same set, and give OPENED.

        Raises:
            JointTrainingError: what is wrong with the answer; `OTHER_SET`, `TOO_FEW_MEMBERS`.
        """
        pieces = Pieces(read(answer, self._due, Kind.CONFIRMATIONS).body)
        signers = self._set_with_self(pieces, self.held.survivors)
        signed = read_from_each(pieces, self._due, Kind.CONFIRMED, signers, CONFIRMED_BYTES)
        pieces.end()
        expected = confirmed_body(self.held.keys, self.held.survivors)
        for place, message in signed.items():
            if message.body != expected:
                raise JointTrainingError(
                    Refusal.OTHER_SET,
                    f"{self._due.terms.members[place].name} was told another set of banks",
                )
        opened = [
            self.held.shares[place][not self.held.survivors >> place & 1]
            for place in sorted(self.held.keys)
        ]
        self.held.awaited = Kind.SUM
        return self._message(Kind.OPENED, b"".join(map(shamir.write_share, opened)))

    def take_sum(self, answer: bytes) -> Words:
        """Take everyone's masked numbers and what opens their sum, and compute it.

        Raises:
            JointTrainingError: what is wrong with the answer; `OTHER_SET`, `BAD_SHARE`.
        """
        pieces = Pieces(read(answer, self._due, Kind.SUM).body)
        survivors = pieces.banks(self._due.terms)
        if survivors != self.held.survivors:
            raise JointTrainingError(Refusal.OTHER_SET, "a sum over other banks than were signed")
        length = body_length(self._due.terms, Kind.MASKED, self._due.round, 0)
        masked = read_from_each(pieces, self._due, Kind.MASKED, survivors, length)
        secrets = {place: pieces.take(shamir.SECRET_BYTES) for place in sorted(self.held.keys)}
        pieces.end()
        bodies = {place: message.body for place, message in masked.items()}
        return open_sum(self._due, self.held.keys, bodies, secrets)


def confirmed_body(keys: Mapping[int, bytes], survivors: int) -> bytes:
    """Say what is signed of a set: who shared secrets, by which keys, and who survived."""
    view = hashlib.sha256(b"".join(keys[place] for place in sorted(keys))).digest()
    return write_set(set_of(keys)) + write_set(survivors) + view


def _write(pair: tuple[int, int]) -> bytes:
    return b"".join(map(shamir.write_share, pair))


def _marks(pair: tuple[int, int]) -> bytes:
    return b"".join(masks.commit(shamir.write_share(share)) for share in pair)
