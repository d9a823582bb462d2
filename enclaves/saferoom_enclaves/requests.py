"""Which questions were asked before: by each institution's nonces.

A nonce leads to the request that first had it. Only a request that takes another's nonce, which is
refused, is found by its own id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.rowform import pack, unpack
from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    FitRequest,
    JobRequest,
    ListRequest,
    TableRequest,
)
from saferoom_proto.statements.request import SubjectRequest

Remembered = SubjectRequest | BatchRequest | TableRequest | JobRequest | FitRequest | ListRequest
"""A request that has a nonce, and that is answered once."""

_INDEX_BYTES: Final = 8
_PARTS: Final = 2
_UNDER_WAY: Final = (1 << 64) - 1
"""Stands for the entry of a batch that has none yet: no chain gets so long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of a request.

    Attributes:
        answered: the chain's entry that answered it, if it was asked before.
        nonce_taken: whether another request had its nonce.
    """

    answered: int | None
    nonce_taken: bool

    def require_fresh_nonce(self) -> None:
        """Refuse with `NONCE_REUSED` a nonce that another request had."""
        if self.nonce_taken:
            raise SafeRoomError(Reason.NONCE_REUSED, "another request had this nonce")


class Requests:
    """Remembers questions with the entries that answered them.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def look_up(self, request: Remembered, request_id: str) -> Seen:
        """Tell what is remembered of a request."""
        first = self._read(self._by_nonce(request))
        if first is None:
            return Seen(None, nonce_taken=False)
        if first[0] == request_id:
            return Seen(None if first[1] == _UNDER_WAY else first[1], nonce_taken=False)
        own = self._read(self._by_id(request_id))
        return Seen(None if own is None else own[1], nonce_taken=True)

    def remember(self, request: Remembered, request_id: str, seen: Seen, index: int) -> None:
        """Remember which entry answered a request that was just looked up."""
        key = self._by_id(request_id) if seen.nonce_taken else self._by_nonce(request)
        self._state.put("seen", key, _content(request_id, index))

    def begin(self, request: BatchRequest, request_id: str) -> None:
        """Take a batch's nonce: nothing else may have it while the batch is under way."""
        self._state.put("seen", self._by_nonce(request), _content(request_id, _UNDER_WAY))

    def finish(self, request: BatchRequest, request_id: str, index: int) -> None:
        """Remember which entry answered a batch that was under way."""
        key = self._by_nonce(request)
        content = _content(request_id, index)
        self._state.put("seen", key, content, self._state.get("seen", key))

    def _read(self, key: bytes) -> tuple[str, int] | None:
        row = self._state.get("seen", key)
        if row is None:
            return None
        request_id, index = unpack(row.content, _PARTS)
        return request_id.decode(), int.from_bytes(index, "big")

    def _by_id(self, request_id: str) -> bytes:
        return self._state.cipher.find("seen", "request", request_id)

    def _by_nonce(self, request: Remembered) -> bytes:
        return self._state.cipher.find("seen", "nonce", request.institution, request.nonce)


def _content(request_id: str, index: int) -> bytes:
    return pack(request_id.encode(), index.to_bytes(_INDEX_BYTES, "big"))
