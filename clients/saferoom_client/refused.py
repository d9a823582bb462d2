"""The room's refusal, as a caller of the client meets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc

from saferoom_client.advice import Again, advice
from saferoom_proto.quota import QuotaError
from saferoom_proto.reasons import Reason, SafeRoomError, TryLaterError
from saferoom_proto.receipt import Receipt
from saferoom_proto.rpc_errors import from_rpc_error, metadata_of


class Refused(SafeRoomError):  # noqa: N818 - it is a refusal, and reads as one at the caller's
    """The room, or an owner's enclave, refused: `reason`, its fixed words, and the request's id.

    What the client itself refuses to accept from the room is a plain `SafeRoomError`.

    Attributes:
        request_id: of the refused check, or what the operator finds the call by; may be empty.
        owner: whose enclave refused; empty if it was the room.
        quota: what the caller had under way, if that was too much.
        retry_seconds: after how long to try again; none where the room does not tell.
    """

    def __init__(
        self,
        error: SafeRoomError,
        metadata: Mapping[str, str],
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(error.reason, error.detail, error.fields)
        self.request_id: Final = metadata.get("request_id", "")
        self.owner: Final = metadata.get("owner", "")
        # One that is told again, with a receipt, keeps what it was told with.
        later = isinstance(error, TryLaterError | Refused)
        self.retry_seconds: Final = error.retry_seconds if later else None
        self.quota: Final = error.quota if isinstance(error, QuotaError | Refused) else None
        self._receipt: Final = receipt

    def __reduce__(self) -> tuple[object, ...]:
        """Carry the refusal whole to another process of a batch."""
        error = SafeRoomError(self.reason, self.detail, self.fields)
        if self.retry_seconds is not None and self.quota is not None:
            error = QuotaError(self.quota, "calls", self.retry_seconds, self.detail)
        elif self.retry_seconds is not None:
            error = TryLaterError(self.reason, self.detail, self.retry_seconds)
        metadata = {"request_id": self.request_id, "owner": self.owner}
        return (Refused, (error, metadata, self._receipt))

    def __str__(self) -> str:
        """Name what was wrong in the caller's own message: a program's log shows this line."""
        if not self.fields:
            return super().__str__()
        return f"{self.reason}: {'; '.join(f'{each.field}: {each.rule}' for each in self.fields)}"

    @property
    def again(self) -> Again:
        """Whether to send the same question again, to ask anew, or neither."""
        return advice(self.reason).again

    def receipt(self) -> Receipt:
        """Give the verified receipt of the recorded refusal.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if no enclave has given its word on the request, as
                for a question that never reached one.
        """
        if self._receipt is None:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no enclave signed this refusal")
        return self._receipt


def refusal_of(error: grpc.RpcError) -> Refused:
    """Read the room's refusal out of a failed call."""
    return Refused(from_rpc_error(error), metadata_of(error))
