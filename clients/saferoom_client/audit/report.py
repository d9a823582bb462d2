"""An audit's report as one page for people: what was read, what was judged, all that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from saferoom_client.audit.run import AuditReport, Violation
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.tongue import later, say, spoken
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import CATALOGUE
from saferoom_proto.trust import Trust

CHECKED = (
    later("The entries hash to the head that the room signed; it extends the head seen before."),
    later("Each entry commits to its statement, and that is signed by whose word it is."),
    later("Charters follow each other from the pinned roots; enclaves' keys are endorsed in time."),
    later("Each enclave had heard what the log holds, and its own chain has one history, no gap."),
    later(
        "An answer's approvals, agreement and consent stand before it, cover it, and were not taken"
        " back."
    ),
    later("No account was set back, passed a budget or a cap; no consent served too often."),
    later("Each receipt given beside the log verifies and stands in it; its question was allowed."),
)
NOT_CHECKED = (
    later("The records, and so whether an answer is true."),
    later("Questions that no receipt opens: their purposes, parameters and cuts."),
    later("Rows of batches that no receipt opens: they have no entries of their own."),
)


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, as its page tells it.

    Attributes:
        report: what it found.
        trust: the keys it rests on.
        by: whose audit it is.
        at: when it ended.
    """

    report: AuditReport
    trust: Trust
    by: str
    at: datetime


def audit_page(audited: Audited) -> Page:
    """Tell people what an audit found, in the language that is spoken."""
    report = audited.report
    count = len(report.violations)
    found = say("{count} violations", count=count)
    return Page(
        language=spoken(),
        title=say("Audit of a data safe room's log"),
        lead=say("Everything here was worked out from the log under the auditor's pinned keys."),
        tone="no" if count else "yes",
        answer=found if count else say("no violation"),
        sections=(
            _section(say("Violations"), _violations(report)),
            _section(say("What was audited"), _log(audited)),
            _section(say("How much was judged"), _counts(report)),
            _section(say("What was checked"), _listed(CHECKED)),
            _section(say("What a log cannot show"), _listed(NOT_CHECKED)),
        ),
    )


def _section(heading: str, rows: Iterator[Row]) -> Section:
    return Section(heading, tuple(rows))


def _violations(report: AuditReport) -> Iterator[Row]:
    if not report.violations:
        yield Row(say("found"), say("none"))
    for each in report.violations:
        yield Row(_place(each), f"{_reason(each)}\n{say_rule(each.what)}")


def _place(found: Violation) -> str:
    if found.entry is None:
        return say("the log")
    place = say("entry {entry}", entry=found.entry)
    return f"{place}: {found.named}" if found.named.kind else place


def _reason(found: Violation) -> str:
    return f"{found.reason}: {say(CATALOGUE[found.reason].what)}"


def _log(audited: Audited) -> Iterator[Row]:
    head, grown = audited.report.checkpoint, audited.report.grown_from
    seen = say("none: the first") if grown is None else f"{grown.size:,}"
    rows = (
        (later("room"), audited.trust.origin),
        (later("entries"), f"{head.size:,}"),
        (later("root of the log"), b64(head.root)),
        (later("head seen before"), seen),
        (later("judged from entry"), f"{audited.report.since:,}"),
        (later("key of the log"), audited.trust.ledger_key),
        (later("audited by"), audited.by),
        (later("audited at"), moment(audited.at)),
    )
    for label, value in rows:
        yield Row(say(label), value, Form.TEXT)
    for owner, root in sorted(audited.trust.charter_roots.items()):
        label = say("charter root of {owner}", owner=owner)
        yield Row(label, root, Form.CODE)


def _counts(report: AuditReport) -> Iterator[Row]:
    rows = (
        (later("entries judged"), report.judged),
        (later("entries erased, and so not opened"), report.erased),
        (later("entries of kinds without a rule"), report.unjudged),
        (later("answers whose charges were replayed"), report.replayed),
        (later("receipts read beside the log"), report.receipts),
        (later("words whose questions these open"), report.opened),
        (later("answers that crossed a revocation on its way, as charters allow"), report.crossed),
        (later("older copies that went on by their owners' decisions"), len(report.recovered)),
        (later("disputes that their owners should have settled by now"), len(report.overdue)),
        (later("federated trainings whose banks do not say the same"), len(report.disagreeing)),
    )
    for label, number in rows:
        yield Row(say(label), f"{number:,}")
    unpinned = ", ".join(report.unpinned) or say("none")
    yield Row(say("owners not judged, their root not pinned"), unpinned)


def _listed(lines: tuple[str, ...]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        yield Row(str(number), say(line))
