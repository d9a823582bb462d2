"""How much one caller may have under way, told in headers and refusals; never anybody else's share.

    ratelimit-limit       the most calls (or streams) that the caller may have under way
    ratelimit-remaining   how many more it may begin now
    retry-after           of a refusal: after how many seconds to try again, rounded up
    grpc-retry-pushback-ms  the same for gRPC's own retries, in milliseconds

The first two stand in the trailing metadata of every call. Source of the names: RFC 9110, section
10.2.3; draft-ietf-httpapi-ratelimit-headers-06; gRFC A6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError, TryLaterError

LIMIT: Final = "ratelimit-limit"
REMAINING: Final = "ratelimit-remaining"
RETRY_AFTER: Final = "retry-after"
PUSHBACK: Final = "grpc-retry-pushback-ms"

_MOST: Final = 1_000_000
"""No room lets one caller have more under way; a larger number is a lie."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may have under way.

    Attributes:
        limit: the most.
        remaining: how many more it may begin now.
    """

    limit: int
    remaining: int

    def __post_init__(self) -> None:
        if not 0 <= self.remaining <= self.limit <= _MOST:
            raise SafeRoomError(Reason.MALFORMED, "a quota's numbers make no sense")

    @property
    def held(self) -> int:
        """How many the caller has under way."""
        return self.limit - self.remaining

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Write the quota as metadata."""
        return ((LIMIT, str(self.limit)), (REMAINING, str(self.remaining)))

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str | bytes]]) -> Quota | None:
        """Read a quota out of metadata; none if there is none, or none that makes sense."""
        told = {key: value for key, value in headers if key in (LIMIT, REMAINING)}
        try:
            return cls(int(told[LIMIT]), int(told[REMAINING]))
        except (KeyError, ValueError, SafeRoomError):
            return None


class QuotaError(TryLaterError):
    """A refusal because of what the caller has under way.

    Args:
        quota: of this caller.
        what: calls or streams.
        retry_seconds: after how long to try again.
        detail: for the operator's log.
    """

    def __init__(self, quota: Quota, what: str, retry_seconds: float, detail: str) -> None:
        super().__init__(Reason.TOO_MANY_REQUESTS, detail, retry_seconds)
        self.quota: Final = quota
        self.what: Final = what

    @property
    def told(self) -> str:
        """What the caller is told beside the reason: its own numbers, and nobody else's."""
        if not self.quota.remaining:
            return f"{self.quota.limit} of your {self.quota.limit} {self.what} are under way."
        return f"You have {self.quota.held} {self.what} under way; there is no place for more now."


def retry_headers(error: SafeRoomError) -> tuple[tuple[str, str], ...]:
    """Write after how long to try again as metadata; nothing where waiting does not help."""
    if not isinstance(error, TryLaterError):
        return ()
    seconds = error.retry_seconds
    return (
        (RETRY_AFTER, str(math.ceil(seconds))),
        (PUSHBACK, str(math.ceil(seconds * 1000))),
    )
