"""Spans around calls, for OpenTelemetry: off unless `tracing.endpoint` is set.

OpenTelemetry is loaded only then; `pip install saferoom[otel]` brings it. A span names the method,
the organisation, the owner, the reason and the request id, and never a subject or a value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from saferoom_proto.reasons import Reason, SafeRoomError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

TRACE_HEADER: Final = "traceparent"
"""W3C Trace Context: the header in which a caller names the trace that its call belongs to."""


class Span(Protocol):
    """A piece of work that is being traced."""

    def tell(self, name: str, value: str | int) -> None:
        """Say something about it."""
        ...


class Tracer(Protocol):
    """Makes spans."""

    def span(
        self, name: str, about: Mapping[str, str | int], parent: str | None = None
    ) -> AbstractContextManager[Span]:
        """Trace a piece of work; what it does inside becomes its children.

        Args:
            name: what is done.
            about: what is known of it at its start.
            parent: a caller's `traceparent`, if it gave one.
        """
        ...

    def close(self) -> None:
        """Send what waits, and end."""
        ...


class _Untraced:
    def tell(self, name: str, value: str | int) -> None:
        del name, value


class NoTracer:
    """Traces nothing."""

    def __init__(self) -> None:
        self._nothing: Final = nullcontext(_Untraced())

    def span(
        self, name: str, about: Mapping[str, str | int], parent: str | None = None
    ) -> AbstractContextManager[Span]:
        """Trace nothing."""
        del name, about, parent
        return self._nothing

    def close(self) -> None:
        """Do nothing."""


class _Otel:
    """Traces with OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - loaded only where it is configured
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._trace: Final = trace
        self._provider: Final = provider
        self._tracer: Final = provider.get_tracer("saferoom")
        self._propagator: Final = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, about: Mapping[str, str | int], parent: str | None = None
    ) -> Generator[Span]:
        context = None if parent is None else self._propagator.extract({TRACE_HEADER: parent})
        # No error's message: libraries quote values in theirs.
        with self._tracer.start_as_current_span(
            name,
            context,
            attributes=dict(about),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            class Traced:
                def tell(self, name: str, value: str | int) -> None:
                    span.set_attribute(name, value)

            try:
                yield Traced()
            except SafeRoomError as error:
                span.set_attribute("saferoom.reason", str(error.reason))
                span.set_status(self._trace.StatusCode.ERROR)
                raise

    def close(self) -> None:
        self._provider.shutdown()


def open_tracer(
    endpoint: str | None, room: str, exporter: Callable[[], SpanExporter] | None = None
) -> Tracer:
    """Make a room's tracer.

    Args:
        endpoint: where spans go, by OTLP over HTTP; None for nowhere.
        room: its name, on every span.
        exporter: makes what sends spans, in place of OTLP over HTTP.

    Raises:
        SafeRoomError: `BAD_CONFIG` if OpenTelemetry is not installed.
    """
    if endpoint is None:
        return NoTracer()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        detail = "tracing.endpoint: OpenTelemetry is not installed: pip install saferoom[otel]"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    resource = Resource.create({"service.name": "saferoom", "saferoom.room": room})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    made = OTLPSpanExporter(endpoint=endpoint) if exporter is None else exporter()
    provider.add_span_processor(BatchSpanProcessor(made))
    return _Otel(provider)
