"""What the room counts, for Prometheus: calls, the ledger's commits, and how enclaves do.

Nothing here names a subject, a request or a value: labels are methods, reasons, organisations that
are enrolled, owners, and enclaves' states. Their number is bounded by what the room itself knows.

The page is served on an address of its own (`metrics.address`), in plain HTTP, to whoever reaches
it: keep it on the loopback or a network of the operator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

from prometheus_client import CollectorRegistry, Counter, Histogram, MetricsHandler
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from saferoom.link import LinkState
from saferoom.links import EnclaveFigures
from saferoom.logs import Log
from saferoom.plain_http import IDLE_SECONDS, Handler, serving_pages

OK: Final = "OK"
OTHER: Final = "other"
"""Stands for whatever has no name that may be shown: subjects, strangers, unknown methods."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ITEMS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MOST_CONNECTIONS: Final = 8
"""Of who scrapes at a time: each page is made anew."""
_SCRAPE_SECONDS: Final = 5.0
"""How long a page waits for the event loop."""


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """How the room does at one moment.

    Attributes:
        ledger_size: entries.
        in_use: what is under way, by the name of its limit.
        waiting: calls that wait because their callers sent too many bad requests.
        callers_waiting: how many callers these are of.
        enclaves: each owner's.
        witnesses: how many seconds ago each organisation's last cosigned.
    """

    ledger_size: int
    in_use: dict[str, int]
    waiting: int
    callers_waiting: int
    enclaves: Sequence[EnclaveFigures]
    witnesses: Mapping[str, float]


class Metrics:
    """Counts, in one event loop; the ledger's commits are told from its thread."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self._calls: Final = Counter(
            "saferoom_calls", "Calls that ended.", ("method", "outcome"), registry=self.registry
        )
        self._by_caller: Final = Counter(
            "saferoom_calls_by_organisation",
            "Calls that ended, by enrolled organisation.",
            ("organisation", "failed"),
            registry=self.registry,
        )
        self._seconds: Final = Histogram(
            "saferoom_call_seconds",
            "How long calls took; streams are left out.",
            ("method",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._commit_seconds: Final = Histogram(
            "saferoom_ledger_commit_seconds",
            "How long a commit to the ledger took.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._commit_items: Final = Histogram(
            "saferoom_ledger_commit_items",
            "How many items shared a commit to the ledger.",
            buckets=_ITEMS,
            registry=self.registry,
        )

    def called(self, method: str, organisation: str, outcome: str, seconds: float | None) -> None:
        """Count a call.

        Args:
            method: one of the access table's, or `OTHER`.
            organisation: an enrolled one, or `OTHER`.
            outcome: `OK`, why it was refused, or that its caller left.
            seconds: how long it took; None for a stream.
        """
        self._calls.labels(method, outcome).inc()
        self._by_caller.labels(organisation, "no" if outcome == OK else "yes").inc()
        if seconds is not None:
            self._seconds.labels(method).observe(seconds)

    def committed(self, items: int, seconds: float) -> None:
        """Count a commit to the ledger."""
        self._commit_items.observe(items)
        self._commit_seconds.observe(seconds)


class _Figures(Collector):
    """Asks the event loop how the room does, whenever the page is asked for."""

    def __init__(self, figures: Callable[[], RoomFigures], loop: asyncio.AbstractEventLoop) -> None:
        self._figures: Final = figures
        self._loop: Final = loop

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: registering must not wait for the loop that registers."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give the gauges (in a thread of the page's)."""

        async def ask() -> RoomFigures:
            return self._figures()

        asked = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        figures = asked.result(_SCRAPE_SECONDS)
        yield _gauge("saferoom_ledger_entries", "Entries of the ledger.", figures.ledger_size)
        yield _gauge("saferoom_calls_held", "Calls held after bad requests.", figures.waiting)
        yield _gauge(
            "saferoom_callers_held", "Callers whose calls are held.", figures.callers_waiting
        )
        in_use = GaugeMetricFamily("saferoom_in_use", "What is under way.", labels=("limit",))
        for limit, count in figures.in_use.items():
            in_use.add_metric((limit,), count)
        yield in_use
        witnesses = GaugeMetricFamily(
            "saferoom_witness_age_seconds",
            "Since an organisation's witness last cosigned.",
            labels=("organisation",),
        )
        for organisation, seconds in figures.witnesses.items():
            witnesses.add_metric((organisation,), seconds)
        yield witnesses
        yield from _enclave_gauges(figures.enclaves)


_ENCLAVE_GAUGES: Final[Sequence[tuple[str, str, Callable[[EnclaveFigures], float | None]]]] = (
    ("head_age_seconds", "Since it took its last head.", lambda one: one.head_age_seconds),
    ("stream_followed", "Statements of its stream it has taken.", lambda one: one.followed),
    ("stream_newest", "The newest statement of its stream.", lambda one: one.newest),
    ("questions_waiting", "Questions that wait for it.", lambda one: one.waiting),
    ("proofs_lacked", "Its own entries whose proof it lacks.", lambda one: one.proofs_lacked),
)


def _enclave_gauges(enclaves: Sequence[EnclaveFigures]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "saferoom_enclave_state", "1 for the state it is in.", labels=("owner", "state")
    )
    for each in enclaves:
        for one in LinkState:
            state.add_metric((each.owner, str(one)), float(each.state is one))
    yield state
    for name, about, read in _ENCLAVE_GAUGES:
        gauge = GaugeMetricFamily(f"saferoom_enclave_{name}", about, labels=("owner",))
        for each in enclaves:
            found = read(each)
            if found is not None:
                gauge.add_metric((each.owner,), found)
        yield gauge


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)


class _Handler(MetricsHandler):
    """Answers whoever asks with the page: one request of each connection."""

    protocol_version = "HTTP/1.0"
    server_version = "saferoom"
    sys_version = ""
    timeout = IDLE_SECONDS


@contextmanager
def serving_metrics(
    metrics: Metrics, address: str, figures: Callable[[], RoomFigures], log: Log
) -> Generator[int]:
    """Serve the page while the room is open; gives the port. Called in the event loop.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the address cannot be bound.
    """
    metrics.registry.register(_Figures(figures, asyncio.get_running_loop()))
    handler = cast("Handler", _Handler.factory(metrics.registry))
    with serving_pages(handler, address, log, what="metrics", most=MOST_CONNECTIONS) as port:
        yield port
