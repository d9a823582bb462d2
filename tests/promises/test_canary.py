"""No value of a record leaves an enclave: not in a message, an error, a log, a file or a progress.

A room is opened, values are planted in an owner's store that occur nowhere else, everything is done
that a room is for, much of it wrongly, its processes are killed in the middle, and then every byte
that anybody but the owner could see is searched for the planted values in many forms.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from saferoom_client import channel, session
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import Absent, ClassCell, ColumnType, FeatureKind, Schema, Table
from saferoom_proto.uscc import make_uscc
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.live import LiveRoom, succeeds
from tests.flow.offers import (
    APPROVERS,
    ORIGIN,
    POOR,
    SILENT,
    STEADY,
    UNKNOWN,
    VAT,
    column,
    feature,
    title,
    vat_paid,
)
from tests.promises.canaries import Sweep, forms
from tests.promises.tape import keep_refusal, taping

CANARIES: Final = {
    "an amount": "7391846205",
    "another amount": "6284017395",
    "a remark": "Kanarienvogel-Qx7-Wj4",
    "a class that no partition names": "zzyzx-vf83k",
    "a value of a row that was refused": "Brieftaube-9Lk-Hh2",
    "a number of a row that was refused": "5170938264",
    # In the store like the others; nobody asks about it, and it consents to nothing.
    "a subject whom nobody asked about": make_uscc(777_777),
    "a subject of a load that was refused": make_uscc(888_888),
}
AMOUNT, SECOND, REMARK, CLASS, BAD, BAD_NUMBER, QUIET, UNLOADED = CANARIES.values()
ROWS: Final = (
    (STEADY, AMOUNT, REMARK, CLASS),
    (POOR, "900", "none", "A"),
    (QUIET, SECOND, REMARK, "B"),
)


def tables() -> Schema:
    """The tax office's one table, with columns of every sort that features read."""
    columns = (
        column("uscc", ColumnType.TEXT, 4),
        column("paid", ColumnType.BIGINT, 3),
        column("remark", ColumnType.TEXT, 3),
        column("grade", ColumnType.TEXT, 3),
    )
    table = Table(name="vat", title=title("vat"), key="uscc", columns=columns)
    return Schema(room=ORIGIN, owner="tax", version=1, tables=(table,))


STUMBLING: Final = {
    "overflows": "SELECT uscc AS subject, paid * 9000000000000000000 > 1 AS value FROM vat",
    "misreads": "SELECT uscc AS subject, CAST(remark AS BIGINT) > 1 AS value FROM vat",
}
"""Features whose SQL fails on the very values, which DuckDB would quote."""


class Aviary:
    """The room with the canaries in it, and everything that was seen of it from outside."""

    def __init__(self, live: SmallRoom) -> None:
        self.live: Final = live
        self.sweep: Final = Sweep(CANARIES)
        self.secret: Final = [live.folder / f"{name}.csv" for name in ("good", "bad", "torn")]
        self.reasons: Final[set[str]] = set()
        self.flag: dict[str, object] = {}

    def attempt(self, what: str, call: Callable[[], object]) -> None:
        """Do something, whatever comes of it, and keep all that it tells."""
        try:
            self.sweep.saw(what, repr(call()))
        except SafeRoomError as error:
            self.reasons.add(str(error.reason))
            keep_refusal(error, what, self.sweep.saw)

    def define(self) -> None:
        """Define features; some of them stumble over the very values, and say so in SQL's words."""
        named = (ClassCell(name="A", values=("A",)), ClassCell(name="B", values=("B",)))
        fields = {"owner": "tax", "level": 3, "family": "turnover", "absent": Absent.UNKNOWN}
        graded = {
            **fields,
            "name": "grade",
            "title": title("Grade"),
            "sql": "SELECT uscc AS subject, grade AS value FROM vat",
            "kind": FeatureKind.CLASSES,
            "classes": named,
        }
        self.flag = {**fields, "title": title("A flag"), "kind": FeatureKind.FLAG}
        with self.live.open("tax", APPROVERS[0]) as room:
            self.live.schemas["tax"] = room.put_schema(tables()).statement.digest
            room.put_feature(vat_paid())
            room.put_feature(feature(graded))
            for name, sql in STUMBLING.items():
                stumbling = feature({**self.flag, "name": name, "sql": sql})
                self.attempt(name, lambda stumbling=stumbling: room.put_feature(stumbling))

    def load(self) -> None:
        """Load the canaries; then tables that break the schema with values in the wrong places."""
        header = "uscc,paid,remark,grade"
        good, bad, torn = self.secret
        good.write_text("\n".join((header, *map(",".join, ROWS))) + "\n", "utf-8")
        bad_rows = (
            f"{UNLOADED},{BAD},x,A",
            f"{BAD},1,x,A",
            f"{STEADY},{BAD_NUMBER},x,A",
            f"{STEADY},{BAD_NUMBER},x,A",
            f"{POOR},{BAD_NUMBER}{BAD_NUMBER},{BAD},A,{BAD}",
        )
        bad.write_text("\n".join((header, *bad_rows)) + "\n", "utf-8")
        torn.write_bytes(f'{header}\n{UNLOADED},1,"{BAD}'.encode() + b"\xff\xfe\n" + BAD.encode())
        with self.live.open("tax", APPROVERS[0]) as room:
            schema = self.live.schemas["tax"]
            assert room.load_data(schema, {"vat": good}).snapshot is not None
            for name, sql in STUMBLING.items():
                tried = feature({**self.flag, "name": name, "sql": sql})
                self.sweep.saw(f"the verdict on {name}", repr(room.try_feature(tried)))
            for path in (bad, torn):
                refused = room.load_data(schema, {"vat": path})
                assert refused.snapshot is None
                self.sweep.saw(f"rows of {path.name}", repr(refused))

    def say(self) -> None:
        """Say what a check needs: a template, approvals, an agreement, consents."""
        self.live.approve(self.live.propose("paid-enough"))
        self.live.agree("tax", "bank-a")
        for subject in (STEADY, POOR, UNKNOWN):
            self.live.consent(subject, "bank-a", features=(VAT, "tax.grade"))

    def ask(self) -> None:
        """Ask what is answered, and what is refused in every way."""
        with self.live.open("bank-a", "desk") as room:

            def check(subject: str, least: str = "5000", purpose: str = "pre-loan") -> object:
                params = {"least": least}
                return room.check("paid-enough", subject=subject, purpose=purpose, params=params)

            for subject in (STEADY, POOR, UNKNOWN):
                for least in ("1000", "5000", "50000"):
                    self.attempt("answered", lambda s=subject, v=least: check(s, v))
            for least in ("5001", "NaN", "1e999", "\u0665", "5000\u0000"):
                self.attempt("off the grid", lambda v=least: check(STEADY, v))
            self.attempt("without consent", lambda: check(SILENT))
            self.attempt("another purpose", lambda: check(STEADY, purpose="in-loan"))
            self.attempt("the log", lambda: room.verify_log(whole=True))
            self.attempt("the room", room.describe)
            self.attempt("features", lambda: room.list_features("tax"))
        with self.live.open("bank-b", "desk") as room:
            self.attempt(
                "without agreement",
                lambda: room.check(
                    "paid-enough", subject=STEADY, purpose="pre-loan", params={"least": "5000"}
                ),
            )
        with self.live.open(STEADY, "self") as room:
            consent = self.live.consents[STEADY, "bank-a"]
            self.attempt("taken back", lambda: room.revoke_consent(consent))
            self.attempt("consents", room.list_consents)
        with self.live.open("auditor", "desk") as room:
            self.attempt("the auditor's log", lambda: (room.verify_log(whole=True), room.entries()))

    def crash(self) -> None:
        """Kill the enclave in the middle of a load and of a check, and let it come back."""
        path, schema = self.secret[0], self.live.schemas["tax"]
        with self.live.open("tax", "wang") as owner:
            self._cut_off("a load cut off", lambda: owner.load_data(schema, {"vat": path}))
        self._cut_off("a check cut off", self._poor_is_answered)

    def _cut_off(self, what: str, call: Callable[[], object]) -> None:
        children = enclaves_of(self.live)
        for pid in children:  # it holds still, so that the call is under way when it dies
            os.kill(pid, signal.SIGSTOP)
        killer = threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in children])
        killer.start()
        self.attempt(what, call)
        killer.join()
        self.live.processes.wait_for(
            lambda: succeeds(self._poor_is_answered), "no answer after a kill"
        )

    def _poor_is_answered(self) -> None:
        with self.live.open("bank-a", "desk") as room:
            room.check("paid-enough", subject=POOR, purpose="pre-loan", params={"least": "1000"})

    def command_line(self) -> None:
        """Do the like with the command line, and keep what it prints."""
        bank, owner = self.live.member("bank-a", "desk"), self.live.member("tax", "li")
        ask = ("check", "paid-enough", "--purpose", "pre-loan", "--subject", POOR, "--json")
        self._command(bank, *ask, "--param", "least=1000")
        self._command(bank, *ask, "--param", "least=1001")
        bad = f"vat={self.secret[1]}"
        self._command(owner, "data", "load", bad, "--schema", self.live.schemas["tax"])

    def metrics(self) -> None:
        """Fetch the metrics as Prometheus does."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{self.live.metrics}/metrics", timeout=20) as answer:
            self.sweep.saw("metrics", answer.read())

    def _command(self, profile: Path, *arguments: str) -> None:
        run = subprocess.run(
            [sys.executable, "-m", "saferoom_client", *arguments],
            env={**os.environ, "SAFEROOM_PROFILE": str(profile)},
            capture_output=True,
            check=False,
        )
        self.sweep.saw(f"saferoom {arguments[0]}", run.stdout, run.stderr)


def enclaves_of(live: LiveRoom) -> list[int]:
    """Give the processes of a room's enclaves: the server has no other children."""
    server = live.processes.running["server"].pid
    children = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
    return [int(pid) for pid in children]


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    """Open the room, let everything happen in it, close it, and give what was seen."""
    patch = pytest.MonkeyPatch()
    with small_room(tmp_path) as live:
        aviary = Aviary(live)
        patch.setattr(session, "open_channel", taping(channel.open_channel, aviary.sweep.saw))
        try:
            for act in (aviary.define, aviary.load, aviary.say, aviary.ask, aviary.crash):
                act()
            aviary.command_line()
            aviary.metrics()
            live.processes.stop()
        finally:
            patch.undo()
        aviary.sweep.saw_folder(live.scratch)  # no table is left behind in memory
    return aviary


def test_nothing_of_a_record_is_seen_outside_its_enclave(aviary: Aviary) -> None:
    files = aviary.sweep.saw_folder(aviary.live.folder, besides=aviary.secret)
    require_seen(aviary, files)
    require_noticed(aviary)
    assert aviary.sweep.found() == []
    require_found_in_the_owners_own_files(aviary)
    require_subjects_named_by_their_consents_only(aviary)


def require_subjects_named_by_their_consents_only(aviary: Aviary) -> None:
    """Make sure that the disk names no subject but those who signed: in the room's own log."""
    sweep = Sweep({"consented": STEADY, "consented and poor": POOR, "in the store": QUIET})
    sweep.saw_folder(aviary.live.room)
    found = {(Path(where).parts[0], name) for where, name, _ in sweep.found()}
    assert {name for _, name in found} == {"consented", "consented and poor"}
    assert {place for place, _ in found} <= {"state.db", "state.db-wal"}, found


def require_seen(aviary: Aviary, files: int) -> None:
    """Make sure that the search has something to search: answers, refusals, logs and files."""
    assert files > 20
    seen = {re.sub(r"[0-9A-Z]{18}", "SUBJECT", where) for where in aviary.sweep.seen}
    for where in (
        "bank-a/desk gets /saferoom.v1.CheckService/Check",
        "auditor/desk gets /saferoom.v1.LedgerService/ListEntries",
        "SUBJECT/self gets /saferoom.v1.ConsentService/RevokeConsent",
        "tax/li gets /saferoom.v1.OwnerService/LoadData",
        "room/state.db",
        "logs/server.log",
        "saferoom check",
        "saferoom data",
        "metrics",
    ):
        assert where in seen, sorted(seen)
    assert b"saferoom_calls_total{" in b"".join(aviary.sweep.seen["metrics"])
    assert any(where.startswith("room/enclaves/tax/") for where in seen)
    wanted = {"NO_AGREEMENT", "NO_CONSENT", "OFF_GRID", "OVER_BUDGET", "WRONG_PURPOSE"}
    assert wanted | {"UNAVAILABLE"} <= aviary.reasons


def require_noticed(aviary: Aviary) -> None:
    """Make sure that the enclave stumbled over the values it kept to itself, and was killed."""
    log = aviary.live.processes.log("server")
    # DuckDB's own words would be "Overflow in multiplication of INT64 (7391846205 * ...".
    assert '"feature": "tax.overflows", "rule": "it fails on the records"' in log
    printed = b"".join(aviary.sweep.seen["saferoom data"])
    assert b"paid" in printed  # the column is named, and the line
    killed = f"ended with -{int(signal.SIGKILL)}"
    processes = aviary.live.processes
    # Who notices it writes it down a moment later.
    processes.wait_for(lambda: processes.log("server").count(killed) == 2, "two were not killed")


def require_found_in_the_owners_own_files(aviary: Aviary) -> None:
    """Make sure that the same search of the same folder finds what does lie there."""
    sweep = Sweep(CANARIES)
    sweep.saw_folder(aviary.live.folder)
    where = {(where, name) for where, name, _ in sweep.found()}
    assert ("good.csv", "an amount") in where
    assert ("good.csv", "a remark") in where
    assert ("bad.csv", "a value of a row that was refused") in where
    assert {place for place, _ in where} <= {path.name for path in aviary.secret}


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_that_gets_out_is_found_in_any_form(name: str) -> None:
    canary = CANARIES[name]
    for form, needle in forms(canary).items():
        sweep = Sweep(CANARIES)
        sweep.saw("a log", b"some words before " + needle + b" and some behind")
        assert ("a log", name, form) in sweep.found()
