"""Two rooms whose stores differ in one subject's record, asked the same, look alike from outside.

It is one room, begun three times from the same folder, so that what was said before is the same.
What is compared is what anybody but the asker and the owner sees: every message by its kind, place
and size, what refusals say, the server's and the enclave's log, the metrics, what commands print,
and which files there are. Only what is drawn anew (keys, digests, times, ports) is masked, by its
length. The sealed answers themselves are random bytes of one length.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from saferoom_client import Room, channel, session
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.uscc import make_uscc
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.offers import APPROVERS, POOR, STEADY, UNKNOWN, VAT, vat_paid
from tests.promises.tape import taping
from tests.promises.test_canary import tables

HEADER: Final = "uscc,paid,remark,grade"
CROWD: Final = tuple((make_uscc(700_000 + at), "61234", "none", "A") for at in range(20))
STORES: Final = {
    "a good record": ((STEADY, "60000", "prompt", "A"), *CROWD),
    "a bad record": ((STEADY, "10", "slow as ever", "B"), *CROWD),
    "no record, and a stranger's": ((make_uscc(777_777), "60000", "prompt", "A"), *CROWD),
}
"""As many rows each: how many there are is told, by each load, to whoever reads its word."""

SECONDS: Final = 60.0

MASKS: Final = (
    (re.compile(rb"sha256:[0-9a-f]{64}|ed25519:[0-9a-f]{32}"), b"<digest>"),
    (re.compile(rb"[A-Za-z0-9+/]{22,}={0,2}"), b"<base64>"),
    (re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), b"<time>"),
    (re.compile(rb"(localhost|127\.0\.0\.1|\[::1\]):\d+"), b"<address>"),
    (re.compile(rb'"(pid|seconds|duration|port)": ?[\d.]+'), b"<number>"),
    (re.compile(rb"/(tmp|dev/shm)/[\w./+-]+"), b"<path>"),
)
TIMED: Final = re.compile(r"_(seconds|created|bytes)(_|\{| |$)|^process_|^python_|^#|age")
"""Metrics of time and memory, which two runs of one room differ in, too."""


def masked(data: bytes) -> bytes:
    """Give bytes without what is drawn anew."""
    for pattern, word in MASKS:
        data = pattern.sub(word, data)
    return data


class Watched:
    """A room, and all that is seen of it from outside."""

    def __init__(self, live: SmallRoom) -> None:
        self.live: Final = live
        self.messages: Final[list[tuple[str, int]]] = []
        self.said: Final[list[str]] = []
        self.truths: Final[list[Truth]] = []

    def saw(self, where: str, *what: bytes | str) -> None:
        """Keep a message by its place and size."""
        self.messages.extend((where, len(each)) for each in what)

    def attempt(self, what: str, call: Callable[[], object]) -> None:
        """Do something, and keep what a refusal says."""
        try:
            call()
        except SafeRoomError as refusal:
            told = masked(f"{refusal} {refusal.detail} {refusal.fields}".encode()).decode()
            self.said.append(f"{what}: {told}")

    def load(self, rows: tuple[tuple[str, ...], ...]) -> None:
        """Load records."""
        path = self.live.folder / "vat.csv"
        path.write_text("\n".join((HEADER, *map(",".join, rows))) + "\n", "utf-8")
        with self.live.open("tax", APPROVERS[0]) as room:
            loaded = room.load_data(self.live.schemas["tax"], {"vat": path})
            assert loaded.snapshot is not None

    def ask(self) -> None:
        """Ask about the one whose record differs, and about others, much of it wrongly."""
        with self.live.open("bank-a", "desk") as room:

            def check(subject: str, least: str, purpose: str = "pre-loan") -> None:
                params = {"least": least}
                answer = room.check("paid-enough", subject=subject, purpose=purpose, params=params)
                self.truths.append(answer.truth)

            for least in ("5000", "1000", "5000", "50000", "5001", "NaN"):
                for subject in (STEADY, UNKNOWN, POOR):
                    self.attempt("check", lambda s=subject, v=least: check(s, v))
                    self.attempt(
                        "cost",
                        lambda s=subject, v=least: room.cost(
                            "paid-enough", subject=s, purpose="pre-loan", params={"least": v}
                        ),
                    )
            self.attempt("another purpose", lambda: check(STEADY, "5000", "in-loan"))
            self.attempt("a batch", lambda: self._batch(room))
            self.attempt("the log", lambda: room.verify_log(whole=True))
        with self.live.open(STEADY, "self") as room:
            self.attempt("what is held", lambda: room.get_holdings("tax"))
        with self.live.open("auditor", "desk") as room:
            self.attempt("the auditor", lambda: (room.verify_log(whole=True), room.entries()))

    def _batch(self, room: Room) -> None:
        subjects = (STEADY, UNKNOWN, POOR)
        answers = room.check_many(
            "paid-enough",
            subjects,
            purpose="pre-loan",
            params={"least": "5000"},
            progress=lambda done, whole: self.said.append(f"{done} of {whole} rows are judged"),
        )
        refused = sum(each.truth is None for each in answers)
        self.said.append(f"{len(answers) - refused} answered, {refused} refused")

    def command_line(self) -> None:
        """Keep what a command prints that shows no answer."""
        profile = self.live.member("bank-a", "desk")
        for words in (("log", "verify"), ("room", "status"), ("template", "list")):
            run = subprocess.run(
                [sys.executable, "-m", "saferoom_client", *words, "--json"],
                env={**os.environ, "SAFEROOM_PROFILE": str(profile)},
                capture_output=True,
                check=False,
            )
            self.said.append(masked(run.stdout + run.stderr).decode())

    def metrics(self) -> dict[str, float]:
        """Give the metrics that count something else than time and memory."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{self.live.metrics}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        told = (line.rpartition(" ") for line in lines if not TIMED.search(line))
        return {name: float(value) for name, _, value in told}

    def log(self) -> list[str]:
        """Give the server's log, then the enclave's, masked: in one file they mix as they come."""
        lines = self.live.processes.log("server").splitlines()
        told = [masked(line.encode()).decode() for line in lines]
        return sorted(told, key=lambda line: '"enclave":' in line)

    def files(self) -> list[str]:
        """Give which files there are in the room's folder."""
        names = (str(path.relative_to(self.live.room)) for path in self.live.room.rglob("*"))
        return sorted(re.sub(r"[0-9a-f]{8,}", "<hex>", name) for name in names)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a room from outside; what its asker was told is compared apart."""

    messages: list[tuple[str, int]]
    said: list[str]
    metrics: dict[str, float]
    log: list[str]
    files: list[str]
    truths: list[Truth] = field(compare=False)


def say(live: SmallRoom) -> None:
    """Bring all that questions need but records."""
    with live.open("tax", APPROVERS[0]) as room:
        live.schemas["tax"] = room.put_schema(tables()).statement.digest
        room.put_feature(vat_paid())
    live.approve(live.propose("paid-enough"))
    live.agree("tax", "bank-a")
    for subject in (STEADY, UNKNOWN):
        live.consent(subject, "bank-a", features=(VAT,))


def watched(live: SmallRoom, begun: Path, rows: tuple[tuple[str, ...], ...]) -> Seen:
    """Begin with the same folder, load some records, and have the same happen; all that is seen."""
    live.processes.stop()
    shutil.rmtree(live.folder)
    shutil.copytree(begun, live.folder)
    live.start_server()
    live.start_agent("tax")
    live.processes.wait_for(live.answers, "the server answers no call", SECONDS)
    live.processes.wait_for(live.serving, "the enclave is not serving", SECONDS)
    room = Watched(live)
    room.load(rows)
    before = room.metrics()
    patch = pytest.MonkeyPatch()
    patch.setattr(session, "open_channel", taping(channel.open_channel, room.saw))
    try:
        room.ask()
    finally:
        patch.undo()
    room.command_line()
    after = room.metrics()
    moved = {name: value - before.get(name, 0.0) for name, value in after.items()}
    live.processes.stop()
    return Seen(room.messages, room.said, moved, room.log(), room.files(), room.truths)


@pytest.mark.soak
def test_rooms_that_differ_in_one_record_look_alike_from_outside(tmp_path: Path) -> None:
    with small_room(tmp_path / "room") as live:
        say(live)
        live.processes.stop()
        begun = tmp_path / "begun"
        shutil.copytree(live.folder, begun)
        first, *others = (watched(live, begun, rows) for rows in STORES.values())
    for other in others:
        assert other.messages == first.messages
        assert other.said == first.said
        assert other.metrics == first.metrics
        assert other.log == first.log
        assert other.files == first.files
    # The comparison is of something: the answers differ, and there were refusals.
    assert len({tuple(each.truths) for each in (first, *others)}) == len(STORES)
    assert any("OVER_BUDGET" in line for line in first.said)
    assert "2 answered, 1 refused" in first.said
    assert "3 of 3 rows are judged" in first.said
    assert sum(where.endswith("CheckService/Check") for where, _ in first.messages) > 20
    assert sum(moved for name, moved in first.metrics.items() if "calls_total" in name) > 20
    assert first.log
    assert first.files
