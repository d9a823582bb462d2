"""What a use's receipt shows, printed once it verifies."""

from __future__ import annotations

from saferoom_client.cli.output import mapping, moment, show
from saferoom_client.tongue import later, say
from saferoom_proto.receipt import Trust
from saferoom_proto.statements import Disclosure
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt


def show_use(as_json: bool, receipt: UseReceipt, trust: Trust) -> None:
    """Verify a use's receipt, and print what it shows."""
    verified = verify_use_receipt(receipt, trust)
    word, request = verified.word, verified.request
    if isinstance(word, Disclosure):
        by, outcome = word.subject, later("shown what is held about it")
    else:
        by, outcome = word.institution, word.reason or later("answered")
    shown = {
        later("owner"): word.owner,
        later("asked by"): by,
        later("about"): word.subject
        if isinstance(word, Disclosure)
        else request and request.subject,
        later("for"): None if request is None else str(request.purpose),
        later("outcome"): say(str(outcome)),
        later("time"): moment(word.time),
        later("entry"): say("{index} of a log of {size}", index=verified.index, size=verified.size),
    }
    document = {
        "verified": True,
        "owner": word.owner,
        "by": by,
        "outcome": str(outcome),
        "entry": verified.index,
        "log_size": verified.size,
        "word": word.model_dump(mode="json"),
        "question": None if request is None else request.model_dump(mode="json"),
    }
    lines = mapping({name: value for name, value in shown.items() if value is not None})
    show(
        as_json, document, say("verified: the charter, the enclave, its word, and the log"), *lines
    )
