"""What the operator sees of every call: a line in the log, counters, a span."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final

from saferoom.access import ACCESS
from saferoom.logs import Log
from saferoom.metrics import OK, OTHER, Metrics
from saferoom.refusals import RequestRefusedError
from saferoom.tracing import Tracer
from saferoom_proto.reasons import Reason, SafeRoomError, TryLaterError

NOBODY: Final = "nobody"
"""Whoever shows no certificate that counts."""

_LEFT: Final = "LEFT"
"""The outcome of a call whose caller left before its end."""
_CALL_ID_BYTES: Final = 8
_METHOD_CHARS: Final = 100
"""Twice our longest method's name: of an unknown one no more goes into the log."""
_QUIET_SECONDS: Final = 1.0
"""Of calls held back and refused, one of each caller is told in this time, with the number."""


class Seen:
    """One call, as far as it has come.

    Attributes:
        caller: the organisation, or a subject's code.
        reason: why it was refused, if it was.
        ids: by what it is found in the logs.
    """

    def __init__(self) -> None:
        self.caller = NOBODY
        self.reason: Reason | None = None
        self.ids: Mapping[str, str] = {"request_id": secrets.token_hex(_CALL_ID_BYTES)}


class Watch:
    """Shows the operator what calls come to.

    Args:
        log: the operator's.
        metrics: counts.
        tracer: traces.
        enrolled: tells whether an organisation may be named in metrics; subjects may not.
    """

    def __init__(
        self, log: Log, metrics: Metrics, tracer: Tracer, enrolled: Callable[[str], bool]
    ) -> None:
        self.tracer: Final = tracer
        self._log: Final = log
        self._metrics: Final = metrics
        self._enrolled: Final = enrolled
        self._quiet: Final[dict[str, tuple[float, int]]] = {}

    @contextmanager
    def call(self, method: str, parent: str | None, *, timed: bool) -> Generator[Seen]:
        """Watch a call from its beginning to its end.

        Args:
            method: its full name, as it stands in the request's path.
            parent: the caller's `traceparent`, if it gave one.
            timed: whether its time counts; that of a stream is its caller's choice.
        """
        seen, began, outcome = Seen(), time.perf_counter(), _LEFT
        shown = method.removeprefix("/").removeprefix("saferoom.v1.") if method in ACCESS else OTHER
        with self.tracer.span(shown, {"rpc.system": "grpc"}, parent) as span:
            try:
                yield seen
                outcome = OK
            finally:
                seconds = time.perf_counter() - began
                if seen.reason is not None:
                    outcome = str(seen.reason)
                organisation = seen.caller if self._enrolled(seen.caller) else OTHER
                self._metrics.called(shown, organisation, outcome, seconds if timed else None)
                span.tell("saferoom.organisation", organisation)
                span.tell("saferoom.outcome", outcome)
                if seen.reason is not None:
                    span.tell("saferoom.request_id", seen.ids["request_id"])
                self._log.debug(
                    "call",
                    method=shown,
                    caller=seen.caller,
                    outcome=outcome,
                    milliseconds=round(seconds * 1000, 1),
                    **(seen.ids if seen.reason is not None else {}),
                )

    def refused(self, seen: Seen, method: str, error: SafeRoomError) -> None:
        """Tell why a call is refused."""
        if isinstance(error, RequestRefusedError):
            seen.ids = error.metadata
        seen.reason = error.reason
        told: dict[str, int] = {}
        if isinstance(error, TryLaterError):
            missed = self._missed(seen.caller)
            if missed is None:
                return
            told = {"also": missed}
        say = self._log.error if error.reason is Reason.INTERNAL else self._log.info
        say(
            "refused",
            method=method[:_METHOD_CHARS],
            caller=seen.caller,
            reason=str(error.reason),
            detail=error.detail,
            **seen.ids,
            **told,
        )

    def _missed(self, caller: str) -> int | None:
        """Give how many such lines of a caller were left out; None if this one is left out too."""
        now = time.monotonic()
        until, missed = self._quiet.get(caller, (0.0, 0))
        if now < until:
            self._quiet[caller] = (until, missed + 1)
            return None
        for each in [each for each, (end, _) in self._quiet.items() if end < now - _QUIET_SECONDS]:
            del self._quiet[each]
        self._quiet[caller] = (now + _QUIET_SECONDS, 0)
        return missed
