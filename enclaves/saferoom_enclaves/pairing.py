"""What hides one owner's part of what several answer: numbers that only its enclave can make.

One key is the owner's own, and one is shared with each other owner of the formula: their pairing
keys agree on it. What they hide is hidden anew for every question, row, output and cell, and the
same again whenever the same is asked: also by an enclave that started anew, or lost its folder,
since all of them come from the pairing key that the key agent releases.

Source: PROTOCOLS section 6; RFC 7748 (X25519), RFC 5869 (HKDF), RFC 2104 (HMAC). Why the numbers
count as uniform, and what happens where a key is another's: docs/adr/0043.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from saferoom_proto.batch import ROW_BYTES
from saferoom_proto.encoding import digest_bytes, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.suite import Suite
from saferoom_proto.verification import PinnedCharter

_OWN: Final = b"saferoom conjunction own v1\n"
_BETWEEN: Final = b"saferoom conjunction between v1\n"
_PLACE: Final = b"saferoom conjunction place v1\n"
_CELL: Final = b"saferoom sum of tables place v1\n"
_NO_ROW: Final = bytes(ROW_BYTES)


@dataclass(frozen=True, slots=True)
class ShareContext:
    """Where shares stand: a question's one answer, or the rows of a batch.

    Args:
        request_id: the question's, or the batch's.
        output: which of a template's outputs; a check has one.
    """

    request_id: str
    output: int = 0

    def of_row(self, index: int = 0, row: bytes = _NO_ROW) -> bytes:
        """Name a row by its index in its batch and its 20 bytes; a question is its only row."""
        place = index.to_bytes(4, "big") + row + self.output.to_bytes(2, "big")
        return _PLACE + digest_bytes(self.request_id) + place


def place_of_cell(request_id: str, table: int, cell: int) -> bytes:
    """Name a cell of tables: by the request, and by its place in what the request's plan tells."""
    return _CELL + digest_bytes(request_id) + table.to_bytes(4, "big") + cell.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Hiding:
    """Hides one owner's part of one formula, score or sum. It has no text form.

    Attributes:
        suite: whose HMAC makes the numbers.
        own: the key of this owner's own number.
        between: for each other owner, whether it is later in order, and the key shared with it.
    """

    suite: Suite
    own: bytes
    between: tuple[tuple[bool, bytes], ...]

    def share(self, holds: bool, place: bytes) -> Share:
        """Give the share that stands at a place for whether this owner's part holds there."""
        return Share((self._number(self.own, place) * (not holds) + self._zero(place)) % MODULUS)

    def part(self, number: int, place: bytes) -> Share:
        """Give the share that stands at a place for this owner's part of a sum."""
        return Share((number + self._zero(place)) % MODULUS)

    def _zero(self, place: bytes) -> int:
        """Give this owner's zero-shares: all owners' add up to nothing."""
        # 256 bits modulo a prime of 128: each number is within 2**-128 of uniform.
        numbers = ((later, self._number(key, place)) for later, key in self.between)
        return sum(number if later else -number for later, number in numbers)

    def _number(self, key: bytes, place: bytes) -> int:
        return int.from_bytes(self.suite.hmac(key, place), "big")


class Pairing:
    """The owner's pairing key, as its key agent released it. It has no text form.

    Args:
        private: 32 bytes.
    """

    __slots__ = ("_key", "_private")

    def __init__(self, private: bytes) -> None:
        self._private: Final = private
        self._key: Final = X25519PrivateKey.from_private_bytes(private)

    def hiding(self, own: PinnedCharter, others: Mapping[str, PinnedCharter]) -> Hiding:
        """Agree with the other owners of a formula on what hides their parts from the asker.

        Args:
            own: the charter in force.
            others: theirs, as the release certificate pins them, by owner.

        Raises:
            SafeRoomError: `INTERNAL` if the charter in force names another pairing key than was
                released; `CERTIFICATE_MISMATCH` if another owner's names one that agrees on
                nothing.
        """
        if self._key.public_key().public_bytes_raw() != unb64(own.charter.pairing):
            detail = "the pairing key that was released is not the charter's"
            raise SafeRoomError(Reason.INTERNAL, detail)
        suite, me = own.suite, own.charter.owner
        context = f"{own.charter.room}\n{me}\n".encode()
        return Hiding(
            suite,
            suite.derive(self._private, _OWN + context),
            tuple(
                (owner > me, suite.derive(self.agreed(other), _BETWEEN + _both(own, other)))
                for owner, other in sorted(others.items())
            ),
        )

    def agreed(self, other: PinnedCharter) -> bytes:
        """Give what this key and another owner's agree on; a key is drawn from it for each use.

        Raises:
            SafeRoomError: `CERTIFICATE_MISMATCH` for a key that agrees on nothing.
        """
        try:
            return self._key.exchange(
                X25519PublicKey.from_public_bytes(unb64(other.charter.pairing))
            )
        except ValueError:  # a point of small order, on which anybody agrees with anybody
            detail = f"the pairing key of {other.charter.owner} is no key"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail) from None


def _both(one: PinnedCharter, other: PinnedCharter) -> bytes:
    """Name two owners by their charters, in the order in which both of them do."""
    pair = sorted((each.charter.owner, each.digest) for each in (one, other))
    named = [one.charter.room, *(word for each in pair for word in each), f"{MODULUS:x}"]
    return "\n".join(named).encode()
