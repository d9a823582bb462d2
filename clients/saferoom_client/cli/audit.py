"""The auditor's command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.audit.report import Audited, audit_page
from saferoom_client.audit.run import AuditReport, Violation
from saferoom_client.cli.coverage import plan
from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import in_one_line, moment, progress_of, show
from saferoom_client.cli.page_options import FormerReport, PageOption, page_file
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.who_may import require_auditor
from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.sheet.render import html
from saferoom_client.tongue import say
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

app = group("Audit the room's log, trusting nobody in the room.")

FOUND = 1
"""Exit status where anything is wrong."""


@app.callback()
def audit() -> None:
    """Audit the room's log, trusting nobody in the room."""


app.command()(plan)


@app.command()
def verify(
    profile: ProfileOption,
    *,
    since: Annotated[int, typer.Option(min=0, help="Judge from this entry on.")] = 0,
    receipts: Annotated[
        Path | None,
        typer.Option(
            help="A folder of receipts that you were given: their questions are judged too.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    out: PageOption = None,
    former: FormerReport = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the whole log: its tree, what its entries are, and that every answer was allowed.

    Each violation is told with its entry; the exit status is 1 if there is any.
    """
    page = page_file(out, former)
    bar, move = progress_of("entries", quiet=as_json)
    with Room.open(profile) as room, bar:
        require_auditor(room)
        report = room.audit_log(since=since, receipts=receipts, progress=move)
        if since > report.checkpoint.size:
            rule = f"the log has {report.checkpoint.size} entries"
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--since", rule)])
        member = room.profile.member
        by = f"{member.organisation} {member.name}"
        audited = Audited(report, room.profile.trust, by, utc_now())
    told = list(_lines(report, given=receipts is not None))
    if page is not None:
        write_file(page, html(audit_page(audited)).encode(), PUBLIC_FILE)
        told.append(say("wrote {file}", file=page))
    show(as_json, _document(report), *told)
    if report.violations:
        raise typer.Exit(FOUND)


def _lines(report: AuditReport, *, given: bool) -> Iterator[str]:
    """Tell what was read, of receipts too if a folder of them was given, and what was found."""
    size = report.checkpoint.size
    grown = report.grown_from
    if grown is not None:
        yield say(
            "the log has {size:,} entries and extends the {since:,} you verified before",
            size=size,
            since=grown.size,
        )
    else:
        yield say("the log has {size:,} entries; this is the first head you have seen", size=size)
    yield say(
        "{judged:,} entries were judged, {erased:,} of all were erased",
        judged=report.judged,
        erased=report.erased,
    )
    if report.unjudged:
        yield say(
            "{unjudged:,} are of kinds that this version has no rule for", unjudged=report.unjudged
        )
    if report.crossed:
        yield say(
            "{crossed:,} answers crossed a revocation on its way, as the charter allows",
            crossed=report.crossed,
        )
    if report.replayed:
        yield say("{replayed:,} answers' charges were replayed", replayed=report.replayed)
    if report.receipts:
        yield say(
            "{receipts:,} receipts open the questions of {opened:,} words",
            receipts=report.receipts,
            opened=report.opened,
        )
    elif given:
        yield say("the folder holds no receipt (*.json): no question was judged")
    yield from _found(report)


def _found(report: AuditReport) -> Iterator[str]:
    for each in report.recovered:
        yield say(
            "the enclave of {owner} went on from an older copy by its approvers' decision: of its "
            "chain it forgot {lost:,} entries, from {found:,} on; budgets up to period {epoch} "
            "count as spent",
            owner=each.owner,
            lost=each.chain.index - each.found.index,
            found=each.found.index,
            epoch=each.closed_epoch,
        )
    for each in report.overdue:
        yield say(
            "{owner} has not settled the dispute of entry {entry:,}: it was due by {moment}",
            owner=each.owner,
            entry=each.entry,
            moment=moment(each.due),
        )
    for each in report.disagreeing:
        yield say(
            "the banks of the federated training {name} do not say the same: {banks} tell of "
            "another course than {first}; the log is right",
            name=each.proposal.name,
            banks=", ".join(each.differing),
            first=next(iter(each.courses)),
        )
    for owner in report.unpinned:
        yield say(
            "not judged: the words of {owner}; pin its root: saferoom trust pin {owner} ROOT",
            owner=owner,
        )
    for found in report.violations:
        yield _place(found)
    count = len(report.violations)
    if not count:
        yield say("no violation")
    else:
        yield say("1 violation") if count == 1 else say("{count} violations", count=count)


def _place(found: Violation) -> str:
    where = say("the log") if found.entry is None else say("entry {entry}", entry=found.entry)
    name = f" ({found.named})" if found.named.kind else ""
    return f"{where}{name}: {found.reason}: {in_one_line(say_rule(found.what))}"


def _document(report: AuditReport) -> dict[str, object]:
    return {
        "size": report.checkpoint.size,
        "root": report.checkpoint.root.hex(),
        "grown_from": None if report.grown_from is None else report.grown_from.size,
        "since": report.since,
        "judged": report.judged,
        "erased": report.erased,
        "unjudged": report.unjudged,
        "crossed": report.crossed,
        "replayed": report.replayed,
        "receipts": report.receipts,
        "opened": report.opened,
        "recovered": [
            {
                "owner": each.owner,
                "found": each.found.index,
                "goes_on": each.chain.index,
                "closed_epoch": each.closed_epoch,
                "recoveries": list(each.recoveries),
            }
            for each in report.recovered
        ],
        "overdue": [
            {"entry": each.entry, "owner": each.owner, "due": each.due.isoformat()}
            for each in report.overdue
        ],
        "disagreeing": [
            {"name": each.proposal.name, "courses": each.courses} for each in report.disagreeing
        ],
        "unpinned": list(report.unpinned),
        "violations": [
            {
                "entry": each.entry,
                "kind": each.named.kind,
                "whose": each.named.whose,
                "reason": each.reason,
                "what": each.what,
            }
            for each in report.violations
        ],
    }
