"""What an owner's store was used for: by whom, how often, at which price."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.tables import table
from saferoom_client.cli.use_receipt import write_receipts
from saferoom_client.files import make_folder
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.usage import Total, Usage
from saferoom_client.use import Use
from saferoom_proto.statements import Template, load

COLUMNS = (
    *("time", "institution", "template", "purpose", "subject", "outcome", "bits"),
    *("period", "features", "consent", "request", "kind", "answered", "refused", "epsilon"),
)


def uses(
    profile: ProfileOption,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="From the first instant of a day, UTC."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print each use as a line of CSV.")] = False,
    receipts: Annotated[
        Path | None,
        typer.Option(
            help="A folder to write each use's receipt to, for an auditor.", file_okay=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show who asked your enclave for what, how often, at how many bits and what epsilon."""
    with Room.open(profile) as room:
        start = None if since is None else since.replace(tzinfo=UTC)
        usage = room.get_usage(start)
        names = {each.digest: load(each, Template).name for each in room.list_templates()}
        if receipts is not None:
            write_receipts(room, usage.uses, make_folder(receipts), quiet=as_json)
    if as_csv:
        typer.echo(_csv(usage, names), nl=False)
        return
    show(as_json, _document(usage, names), *_lines(usage, names))


def _lines(usage: Usage, names: dict[str, str]) -> list[str]:
    rows = [
        (
            group.institution,
            names.get(group.template, group.template or say("unknown")),
            group.purpose,
            str(group.epoch or ""),
            f"{total.asked:,}",
            f"{total.answered:,}",
            f"{total.bits:.2f}",
            str(total.epsilon or ""),
            ", ".join(_refused(total)),
        )
        for group, total in usage.totals.items()
    ]
    headings = (
        later("INSTITUTION"),
        later("TEMPLATE"),
        later("PURPOSE"),
        later("PERIOD"),
        later("ASKED"),
        later("ANSWERED"),
        later("BITS"),
        "EPSILON",
        later("REFUSED"),
    )
    lines = table(headings, sorted(rows))
    if usage.features:
        charged = [
            (institution, feature, str(epoch or ""), f"{count:,}", f"{bits:.2f}")
            for (institution, feature, epoch), (count, bits) in sorted(
                usage.features.items(), key=lambda item: (item[0][:2], item[0][2] or 0)
            )
        ]
        lines += ["", *table(("INSTITUTION", "FEATURE", "PERIOD", "CHARGED", "BITS"), charged)]
    if usage.uses:
        lines += [
            "",
            say(
                "from {first} to {last}",
                first=moment(usage.uses[-1].time),
                last=moment(usage.uses[0].time),
            ),
        ]
    if usage.priced:
        lines.append(say("a price was asked for: {priced:,} times", priced=usage.priced))
    if usage.shown:
        lines.append(
            say(
                "a subject was shown what you hold about it: {shown:,} times",
                shown=usage.shown,
            )
        )
    if usage.elsewhere:
        lines.append(
            say(
                "{elsewhere:,} other places of your enclave's chain lie between these: loads and"
                " revocations; an auditor sees which",
                elsewhere=usage.elsewhere,
            )
        )
    return lines


def _refused(total: Total) -> Iterator[str]:
    for reason, count in sorted(total.refused.items()):
        yield f"{reason} {count:,}"
    if total.refused_rows:
        yield say("{count:,} rows", count=total.refused_rows)


def _document(usage: Usage, names: dict[str, str]) -> dict[str, object]:
    return {
        "totals": [
            {
                "institution": group.institution,
                "template": group.template or None,
                "name": names.get(group.template),
                "purpose": group.purpose or None,
                "period": group.epoch,
                "asked": total.asked,
                "answered": total.answered,
                "bits": round(total.bits, 3),
                "epsilon": str(total.epsilon),
                "refused": {str(reason): count for reason, count in total.refused.items()},
                "refused_rows": total.refused_rows,
            }
            for group, total in usage.totals.items()
        ],
        "features": [
            {
                "institution": institution,
                "feature": feature,
                "period": epoch,
                "charged": count,
                "bits": round(bits, 3),
            }
            for (institution, feature, epoch), (count, bits) in usage.features.items()
        ],
        "uses": [dict(zip(COLUMNS, _row(each, names), strict=True)) for each in usage.uses],
        "prices": usage.priced,
        "shown_to_subjects": usage.shown,
        "elsewhere": usage.elsewhere,
    }


def _csv(usage: Usage, names: dict[str, str]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    writer.writerows(_row(each, names) for each in usage.uses)
    return written.getvalue()


def _outcome(use: Use) -> str:
    if use.reason is not None:
        return str(use.reason)
    return "began" if use.begins else "answered"


def _row(use: Use, names: dict[str, str]) -> tuple[str, ...]:
    request = use.request
    return (
        use.time.astimezone(UTC).isoformat(timespec="milliseconds"),
        use.institution,
        names.get(use.template or "", use.template or ""),
        "" if request is None else str(request.purpose),
        use.subject or "",
        _outcome(use),
        f"{use.bits:.3f}",
        "" if use.epoch is None else str(use.epoch),
        " ".join(charge.feature for charge in use.charges),
        use.consent or "",
        use.request_id,
        str(use.kind),
        *("" if use.rows is None else str(count) for count in use.rows or ("", "")),
        str(use.epsilon or ""),
    )
