"""What is made of records beside the work, and fails in one way only, whatever stopped it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from saferoom_enclaves.logs import Log, places
from saferoom_proto.reasons import Reason, SafeRoomError

T = TypeVar("T")


def made_or_none(make: Callable[[], T], request: str, log: Log) -> T | None:
    """Make it, once; none whatever failed, for that may depend on records.

    Args:
        make: makes it, in any thread.
        request: the digest of the question, for the operator's log.
        log: the operator's; it says where in the code it failed, and nothing of records.

    Raises:
        SafeRoomError: `UNAVAILABLE` if there is nobody to make it.
    """
    try:
        return make()
    except Exception as error:
        if isinstance(error, SafeRoomError) and error.reason is Reason.UNAVAILABLE:
            raise
        log.error("withheld", request=request, places=places(error))  # noqa: TRY400 - the log is the enclave's own
        return None
