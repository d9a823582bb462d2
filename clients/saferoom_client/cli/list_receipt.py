"""The receipt of a page of a list, as the command line shows it."""

from __future__ import annotations

from saferoom_client.cli.output import Shown, mapping, moment
from saferoom_client.report.list_page import list_document, list_summary, picked_by
from saferoom_client.tongue import later, say
from saferoom_proto.reports.list_receipt import ListReceipt, verify_list_receipt
from saferoom_proto.trust import Trust

_CHECKED = later("the charters, agreement, approvals, enclave, the page it told, and the log")
_CHECKED_REFUSAL = later("the charters, agreement, enclave, what it said, and the log")


def shown_list(receipt: ListReceipt, trust: Trust) -> Shown:
    """Verify the receipt of a page, and lay out what it says."""
    verified = verify_list_receipt(receipt, trust)
    said, told = verified.said, verified.told
    lines = mapping(
        {
            "asked by": say(
                "{institution}, for {purpose}",
                institution=said.request.institution,
                purpose=said.request.purpose,
            ),
            "list": said.template.name,
            "picked by": picked_by(verified),
            "answer": say("refused, {reason}", reason=said.release.reason)
            if told is None
            else list_summary(told),
            "id": said.request_id,
        }
    )
    place = say(
        "  {owner}: {moment}, entry {index} of the log",
        owner=said.release.owner,
        moment=moment(said.release.time),
        index=said.index,
    )
    what = say(_CHECKED_REFUSAL if told is None else _CHECKED)
    document = {
        "verified": True,
        "log_size": said.checkpoint.size,
        "request": said.request.model_dump(mode="json"),
        **list_document(verified),
    }
    return Shown(document, (say("verified: {what}", what=what), *lines, place))
