"""The offers of blind matches: a Paillier key for each, used for one answer and destroyed.

Under a key that served twice an asker could test whether two subjects' hidden values agree. So a
key comes from a pool that children fill ahead, is bound to the request that it was offered for, and
is in this process's memory only: it survives neither its answer nor a restart, a load or the
request's window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Lock, Thread
from typing import Final, Self

import gmpy2
from phe import PaillierPrivateKey, PaillierPublicKey

from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.state import State
from saferoom_proto.blind import MODULUS_BITS, Offer, encrypted, require_ciphertext
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest

READY: Final = 4
"""Keys made ahead: each takes a child a second or two."""
MOST_OPEN: Final = 64
"""Offers that wait for their second message; each has a kilobyte or two."""
MOST_OF_ONE: Final = 8
"""Of one institution: the others' must find a place."""
_PRIME_ROUNDS: Final = 5
"""Of Miller and Rabin's test, beside the child's own 25."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchKey:
    """A Paillier key, and an encryption of 0 that hides one tag under it. It has no text form."""

    private: PaillierPrivateKey
    mask: int

    @classmethod
    def of(cls, p: int, q: int, mask: int) -> Self:
        """Take what a child made; `INTERNAL` for what is no key."""
        public = PaillierPublicKey(p * q)
        sound = all(gmpy2.is_prime(each, _PRIME_ROUNDS) for each in (p, q))
        if not sound or p == q or public.n.bit_length() != MODULUS_BITS:
            raise SafeRoomError(Reason.INTERNAL, "a child's key is none")
        return cls(PaillierPrivateKey(public, p, q), mask)

    @property
    def modulus(self) -> int:
        """N."""
        return self.private.public_key.n

    def offer(self, tag: bytes) -> Offer:
        """Encrypt a tag, once."""
        return Offer(self.modulus, encrypted(tag, self.modulus, self.mask))

    def is_zero(self, ciphertext: int) -> bool:
        """Tell whether a ciphertext hides 0, and nothing else of what it hides.

        The library works both halves out whatever the first says.
        """
        return self.private.raw_decrypt(ciphertext) == 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Offered:
    """An offer that waits for its second message.

    Attributes:
        request_id: of the first.
        request: the first.
        key: of this offer alone.
        epoch: of the store whose value it hides.
        consent: the digest of the consent that the first was charged to.
    """

    request_id: str
    request: CheckRequest
    key: MatchKey
    epoch: int
    consent: str | None

    def require_followed_by(self, request: CheckRequest, epoch: int, now: datetime) -> None:
        """Refuse a second message that is not this one's, or too late; all in the same words."""
        first = self.request
        same = (first.institution, first.subject, first.template, first.certificate, first.purpose)
        other = (
            *(request.institution, request.subject),
            *(request.template, request.certificate, request.purpose),
        )
        if same != other or epoch != self.epoch or now >= first.not_after:
            raise _gone()


@dataclass(frozen=True, slots=True)
class Matching:
    """One message of a blind match on its way through the judge.

    Attributes:
        key: of the offer.
        used: to be called before the key is: the offer of a first message is open from then on,
            and that of a second one gone.
        ciphertext: of the second.
    """

    key: MatchKey
    used: Callable[[], None]
    ciphertext: int | None = None


class KeyPool:
    """Keys made ahead, one at a time, in a thread of its own that has children make them.

    Args:
        make: makes a key; from any thread.
        log: the operator's.
    """

    def __init__(self, make: Callable[[], MatchKey], log: Log) -> None:
        self._make: Final = make
        self._log: Final = log
        self._lock: Final = Lock()
        self._ready: Final[list[MatchKey]] = []
        self._filling: Thread | None = None

    def fill(self) -> None:
        """Have keys made until there are enough."""
        with self._lock:
            if self._filling is None and len(self._ready) < READY:
                self._filling = Thread(target=self._run, name="match keys", daemon=True)
                self._filling.start()

    def take(self) -> MatchKey:
        """Give a key; nobody else is given it. `UNAVAILABLE` while none is there."""
        with self._lock:
            key = self._ready.pop() if self._ready else None
        self.fill()
        if key is None:
            raise SafeRoomError(Reason.UNAVAILABLE, "keys for blind matches are being made")
        return key

    def _run(self) -> None:
        try:
            while len(self._ready) < READY:
                key = self._make()
                with self._lock:
                    self._ready.append(key)
        except Exception as error:  # noqa: BLE001 - the next question has it tried again
            self._log.error("no key for a blind match", places=places(error))
        with self._lock:
            self._filling = None


class Offers:
    """Offers under way; what a transaction did to them is undone if it fails.

    Args:
        pool: gives keys.
        state: the enclave's database.
    """

    def __init__(self, pool: KeyPool, state: State) -> None:
        self.pool: Final = pool
        self._state: Final = state
        self._open: Final[dict[str, Offered]] = {}

    def followed(self, request: CheckRequest, epoch: int, now: datetime) -> Offered | None:
        """Find the offer that a request is the second message of; none if it is none's.

        Raises:
            SafeRoomError: `EXPIRED` if it is there no more; `OFF_DOMAIN` for no ciphertext.
        """
        if request.match is None:
            return None
        found = self._open.get(request.match.offer)
        if found is None:
            raise _gone()
        found.require_followed_by(request, epoch, now)
        try:
            require_ciphertext(_number(request.match.ciphertext), found.key.modulus)
        except SafeRoomError as error:
            raise SafeRoomError(Reason.OFF_DOMAIN, error.detail) from error
        return found

    def first(
        self,
        request_id: str,
        request: CheckRequest,
        *,
        epoch: int,
        consent: str | None,
        now: datetime,
    ) -> Matching:
        """Take a key for a first message.

        Raises:
            SafeRoomError: `UNAVAILABLE` while there is none, or no place; the question may be asked
                again as it is.
        """
        self._forget(now)
        own = sum(each.request.institution == request.institution for each in self._open.values())
        if len(self._open) >= MOST_OPEN or own >= MOST_OF_ONE:
            raise SafeRoomError(Reason.UNAVAILABLE, "too many blind matches are under way")
        key = self.pool.take()
        return Matching(key, partial(self._keep, Offered(request_id, request, key, epoch, consent)))

    def second(self, offered: Offered, request: CheckRequest) -> Matching:
        """Take an offer up for its one answer: once its key is used it is gone."""
        if request.match is None:
            raise SafeRoomError(Reason.INTERNAL, "no second message")
        ciphertext = _number(request.match.ciphertext)
        return Matching(offered.key, partial(self._end, offered), ciphertext)

    def _keep(self, offered: Offered) -> None:
        self._state.undoing(partial(self._open.pop, offered.request_id, None))
        self._open[offered.request_id] = offered

    def _end(self, offered: Offered) -> None:
        # An answer that was not committed was told to nobody: its offer may be followed again.
        self._state.undoing(partial(self._open.__setitem__, offered.request_id, offered))
        del self._open[offered.request_id]

    def _forget(self, now: datetime) -> None:
        for request_id, offered in list(self._open.items()):
            if offered.request.not_after <= now:
                del self._open[request_id]


def _number(ciphertext: str) -> int:
    return int.from_bytes(unb64(ciphertext), "big")


def _gone() -> SafeRoomError:
    return SafeRoomError(Reason.EXPIRED, "no such offer is open: begin the blind match anew")
