"""Spans: off by default, around calls and enclaves, with no value in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from saferoom import server, tracing
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import sample
from tests.server.conftest import make_ready
from tests.server.room.opened import SECONDS, opened

ENDPOINT: Final = "http://127.0.0.1:9/v1/traces"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"


class Kept(SpanExporter):
    """Keeps spans where the test finds them."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


async def test_a_call_and_its_enclave_stand_in_the_callers_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, said = Kept(), sample("traced")

    def open_tracer(endpoint: str | None, room: str) -> tracing.Tracer:
        return tracing.open_tracer(endpoint, room, lambda: kept)

    monkeypatch.setattr(server, "open_tracer", open_tracer)
    settings = f'[tracing]\nendpoint = "{ENDPOINT}"\n'
    async with opened(tmp_path / "room", said.world, settings) as room:
        ready = await make_ready(room, said)
        question = ready.question()
        call = room.calls(said.bank.name).check.Check
        message = check_pb2.CheckRequest(request=envelope_to_proto(question))
        await call(message, timeout=SECONDS, metadata=(("traceparent", PARENT),))
        with pytest.raises(grpc.aio.AioRpcError):
            await call(check_pb2.CheckRequest(), timeout=SECONDS)
    named = {span.name: span for span in kept.spans}
    judged, checks = (
        named["enclave judges"],
        [span for span in kept.spans if span.name == "CheckService/Check"],
    )
    outer, inner = checks[0].get_span_context(), judged.get_span_context()
    assert outer is not None
    assert inner is not None
    assert {f"{context.trace_id:032x}" for context in (outer, inner)} == {TRACE}
    assert judged.parent is not None
    assert judged.parent.span_id == outer.span_id
    assert judged.attributes is not None
    assert judged.attributes["saferoom.request_id"] == question.digest
    outcomes = [(span.attributes or {})["saferoom.outcome"] for span in checks]
    assert outcomes == ["OK", str(Reason.MALFORMED)]
    everything = "".join(span.to_json() for span in kept.spans)
    assert said.world.subject(1).uscc not in everything


def test_opentelemetry_is_loaded_only_where_it_is_configured() -> None:
    loaded = "any(name.startswith('opentelemetry') for name in sys.modules)"
    program = f"import sys, saferoom.server; sys.exit({loaded})"
    run = subprocess.run([sys.executable, "-c", program], check=False)
    assert run.returncode == 0


def test_without_opentelemetry_an_endpoint_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SafeRoomError, match=r"saferoom\[otel\]") as refusal:
        tracing.open_tracer(ENDPOINT, "room.example/x")
    assert refusal.value.reason is Reason.BAD_CONFIG
