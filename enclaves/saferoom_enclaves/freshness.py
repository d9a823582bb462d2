"""How fresh the enclave's knowledge is: nonces for heads, and the age of the newest head.

A head's age counts from the sending of the nonce that it signs, on the boot clock: the room cannot
make an old head look new, nor can whoever sets the date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saferoom_enclaves.clock import EnclaveClock
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError

NONCE_BYTES: Final = 32
_MOST_OPEN: Final = 64
"""Nonces that may be under way at once; the oldest is forgotten."""


class Freshness:
    """Hands out nonces, and knows how old the newest head is.

    Args:
        clock: the enclave's clock.
        randomness: gives so many random bytes.
    """

    def __init__(self, clock: EnclaveClock, randomness: Callable[[int], bytes]) -> None:
        self._clock: Final = clock
        self._randomness: Final = randomness
        self._sent: dict[str, float] = {}
        self._newest: float | None = None

    def nonce(self) -> bytes:
        """Give a nonce for the next head; it is sent now."""
        nonce = self._randomness(NONCE_BYTES)
        self._sent[b64(nonce)] = self._clock.boot_seconds()
        while len(self._sent) > _MOST_OPEN:
            self._sent.pop(next(iter(self._sent)))
        return nonce

    def require_sent(self, nonce: str) -> None:
        """Refuse with `STALE_HEAD` a nonce that was not sent, or has been used."""
        if nonce not in self._sent:
            raise SafeRoomError(Reason.STALE_HEAD, "the head answers no nonce that is open")

    def accept(self, nonce: str) -> None:
        """Take a head for the newest: its nonce and those sent before it are used up."""
        self._newest = self._sent[nonce]
        sent = list(self._sent)
        for used in sent[: sent.index(nonce) + 1]:
            del self._sent[used]

    def require_fresh(self, most_seconds: float) -> None:
        """Refuse with `STALE_HEAD` if the newest head is older than this, or there is none yet."""
        if self._newest is None:
            raise SafeRoomError(Reason.STALE_HEAD, "no head since the start")
        age = self._clock.boot_seconds() - self._newest
        if age > most_seconds:
            raise SafeRoomError(Reason.STALE_HEAD, f"the newest head is {age:.1f} s old")
