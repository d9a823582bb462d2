"""A report's receipt, as the command line shows it."""

from __future__ import annotations

from saferoom_client.cli.output import Shown, mapping, moment
from saferoom_client.tongue import later, say
from saferoom_proto.reports.receipt import ReportReceipt, VerifiedReport, verify_report_receipt
from saferoom_proto.trust import Trust

_CHECKED = later("the charters, agreements, approvals, enclaves, what each told, and the log")


def shown_report(receipt: ReportReceipt, trust: Trust) -> Shown:
    """Verify a report's receipt, and lay out whose words it holds."""
    verified = verify_report_receipt(receipt, trust)
    request = verified.request
    lines = mapping(
        {
            "asked by": say(
                "{institution}, for {purpose}",
                institution=request.institution,
                purpose=request.purpose,
            ),
            "about": request.subject,
            "report": verified.template.name,
            "id": verified.request_id,
        }
    )
    words = [say("verified: {what}", what=say(_CHECKED)), *lines]
    for owner, part in verified.parts.items():
        rows = 0 if part.told is None else sum(len(each.rows) for each in part.told.tables)
        said = (
            say("refused, {reason}", reason=part.release.reason)
            if part.told is None
            else say("{rows:,} records", rows=rows)
        )
        words.append(
            say(
                "  {owner}: {said}, {moment}, entry {index} of the log",
                owner=owner,
                said=said,
                moment=moment(part.release.time),
                index=part.index,
            )
        )
    words += [say("  {owner}: missing", owner=owner) for owner in verified.missing]
    return Shown(_document(verified), tuple(words))


def _document(verified: VerifiedReport) -> dict[str, object]:
    return {
        "verified": True,
        "request_id": verified.request_id,
        "request": verified.request.model_dump(mode="json"),
        "template": verified.template.name,
        "missing": verified.missing,
        "parts": {
            owner: {
                "outcome": part.release.outcome,
                "reason": part.release.reason,
                "time": part.release.time.isoformat(),
                "entry": part.index,
                "log_size": part.checkpoint.size,
                "tables": None
                if part.told is None
                else [each.model_dump(mode="json") for each in part.told.tables],
            }
            for owner, part in verified.parts.items()
        },
    }
