"""The auditor's command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from saferoom_client.audit.run import AuditReport, Violation
from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import progress_of, show
from saferoom_client.room import Room

app = group("Audit the room's log, trusting nobody in the room. 审计。")

FOUND = 1
"""Exit status where anything is wrong."""


@app.callback()
def audit() -> None:
    """Audit the room's log, trusting nobody in the room."""


@app.command()
def verify(
    profile: ProfileOption,
    *,
    since: Annotated[
        int, typer.Option(min=0, help="Judge from this entry on. 自此条目起审计。")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Verify the whole log: its tree, what its entries are, and that every answer was allowed.

    Each violation is told with its entry; the exit status is 1 if there is any. 全面验证日志。
    """
    bar, move = progress_of("entries", quiet=as_json)
    with Room.open(profile) as room, bar:
        report = room.audit_log(since=since, progress=move)
    show(as_json, _document(report), *_lines(report))
    if report.violations:
        raise typer.Exit(FOUND)


def _lines(report: AuditReport) -> Iterator[str]:
    size = report.checkpoint.size
    grown = report.grown_from
    if grown is not None:
        yield f"the log has {size:,} entries and extends the {grown.size:,} you verified before"
    else:
        yield f"the log has {size:,} entries; this is the first head you have seen"
    yield f"{report.judged:,} entries were judged, {report.erased:,} of all were erased"
    if report.unjudged:
        yield f"{report.unjudged:,} are of kinds that this version has no rule for"
    if report.crossed:
        yield f"{report.crossed:,} answers crossed a revocation on its way, as the charter allows"
    for owner in report.unpinned:
        yield f"not judged: the words of {owner}; pin its root: saferoom trust pin {owner} ROOT"
    for found in report.violations:
        yield _place(found)
    count = len(report.violations)
    yield "no violation" if not count else f"{count} violation{'s' if count > 1 else ''}"


def _place(found: Violation) -> str:
    where = "the log" if found.entry is None else f"entry {found.entry}"
    return f"{where}: {found.reason}: {found.what}"


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
        "unpinned": list(report.unpinned),
        "violations": [
            {"entry": each.entry, "reason": each.reason, "what": each.what}
            for each in report.violations
        ],
    }
