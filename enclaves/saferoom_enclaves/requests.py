"""Which questions were asked before: by request id, and by each institution's nonces."""

from __future__ import annotations

from typing import Final

from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest

_INDEX_BYTES: Final = 8


class Requests:
    """Remembers questions with the entries that answered them.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def answered(self, request_id: str) -> int | None:
        """Give the chain's entry that answered this very request, if it was asked before."""
        row = self._state.get("seen", self._by_id(request_id))
        return None if row is None else int.from_bytes(row.content, "big")

    def require_fresh_nonce(self, request: CheckRequest) -> None:
        """Refuse with `NONCE_REUSED` a nonce that another request of the institution had."""
        if self._state.get("seen", self._by_nonce(request)) is not None:
            raise SafeRoomError(Reason.NONCE_REUSED, "another request had this nonce")

    def remember(self, request: CheckRequest, request_id: str, chain_index: int) -> None:
        """Remember which entry answered a request."""
        content = chain_index.to_bytes(_INDEX_BYTES, "big")
        self._state.put("seen", self._by_id(request_id), content)
        key = self._by_nonce(request)
        if self._state.get("seen", key) is None:
            self._state.put("seen", key, content)

    def _by_id(self, request_id: str) -> bytes:
        return self._state.cipher.find("seen", "request", request_id)

    def _by_nonce(self, request: CheckRequest) -> bytes:
        return self._state.cipher.find("seen", "nonce", request.institution, request.nonce)
