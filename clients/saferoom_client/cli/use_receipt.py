"""What a use's receipt shows, printed once it verifies."""

from __future__ import annotations

from saferoom_client.cli.output import mapping, moment, show
from saferoom_client.tongue import later, say
from saferoom_proto.asked import Question, subject_of
from saferoom_proto.receipt import Trust
from saferoom_proto.statements import BatchRelease, CostEstimate, Disclosure
from saferoom_proto.use_receipt import UseReceipt, UseWord, verify_use_receipt


def show_use(as_json: bool, receipt: UseReceipt, trust: Trust) -> None:
    """Verify a use's receipt, and print what it shows."""
    verified = verify_use_receipt(receipt, trust)
    word, request = verified.word, verified.request
    by, outcome = _told(word)
    shown = {
        later("owner"): word.owner,
        later("asked by"): by,
        later("about"): _about(word, request),
        later("for"): None if request is None else str(request.purpose),
        later("outcome"): say(outcome),
        later("rows"): _rows(word),
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


def _told(word: UseWord) -> tuple[str, str]:
    """Say who asked, and what became of it."""
    match word:
        case Disclosure():
            return word.subject, later("shown what is held about it")
        case CostEstimate():
            return word.institution, word.refused or later("told the price")
        case _:
            return word.institution, word.reason or later("answered")


def _rows(word: UseWord) -> str | None:
    if not isinstance(word, BatchRelease):
        return None
    return say(
        "{answered:,} answered, {refused:,} refused", answered=word.answered, refused=word.refused
    )


def _about(word: UseWord, request: Question | None) -> str | None:
    if isinstance(word, Disclosure):
        return word.subject
    return None if request is None else subject_of(request)
