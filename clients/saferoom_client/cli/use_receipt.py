"""What a use's receipt shows, printed once it verifies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saferoom_client.cli.answer_words import in_document, in_words
from saferoom_client.cli.output import Shown, mapping, moment, progress_of
from saferoom_client.files import write_file
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.use import Use
from saferoom_proto.asked import subject_of
from saferoom_proto.batch_row import SubjectRow
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    BatchRelease,
    BatchRequest,
    CostEstimate,
    Disclosure,
    JobAdmission,
    JobOutcome,
    JobRelease,
)
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt, UseWord, VerifiedUse, verify_use_receipt


def shown_use(receipt: UseReceipt, trust: Trust) -> Shown:
    """Verify a use's receipt, and tell what it shows."""
    verified = verify_use_receipt(receipt, trust)
    word, request = verified.word, verified.request
    by, outcome = _told(verified)
    shown = {
        later("owner"): word.owner,
        later("asked by"): by,
        later("about"): _about(verified),
        later("for"): None if request is None else str(request.purpose),
        later("outcome"): say(outcome),
        later("rows"): _rows(word, verified.row),
        **_row(verified),
        later("time"): moment(word.time),
        later("entry"): say("{index} of a log of {size}", index=verified.index, size=verified.size),
    }
    document: dict[str, object] = {
        "verified": True,
        "owner": word.owner,
        "by": by,
        "outcome": str(outcome),
        "entry": verified.index,
        "log_size": verified.size,
        "row": _row_document(verified),
        "word": word.model_dump(mode="json"),
        "question": None if request is None else request.model_dump(mode="json"),
    }
    lines = mapping({name: value for name, value in shown.items() if value is not None})
    told = say("verified: the charter, the enclave, its word, and the log")
    return Shown(document, (told, *lines))


def _told(verified: VerifiedUse) -> tuple[str, str]:
    """Say who asked, and what became of it."""
    match word := verified.word:
        case Disclosure():
            return word.subject, later("shown what is held about it")
        case CostEstimate():
            return word.institution, word.refused or later("told the price")
        case JobAdmission():
            return word.institution, later("a job began")
        case JobRelease():
            return word.institution, word.reason or _JOBS[word.outcome]
        case BatchRelease() if (record := verified.record) is not None:
            outcome = record.outcome
            said = outcome if isinstance(outcome, Reason) else later("answered")
            return word.institution, said
        case _:
            return word.institution, word.reason or later("answered")


_JOBS = {
    JobOutcome.RELEASED: later("a model was trained"),
    JobOutcome.CANCELLED: later("its institution ended it"),
}
"""What became of jobs that ended for no reason of the room's."""


def _rows(word: UseWord, row: SubjectRow | None) -> str | None:
    if not isinstance(word, BatchRelease) or row is not None:
        return None
    return say(
        "{answered:,} answered, {refused:,} refused", answered=word.answered, refused=word.refused
    )


def _row(verified: VerifiedUse) -> dict[str, str | None]:
    """Lay out the row of a batch that a receipt is about."""
    record = verified.record
    if verified.row is None or record is None or not isinstance(verified.request, BatchRequest):
        return {}
    outcome = record.outcome
    params = verified.request.params[verified.row.row.parameters]
    return {
        later("row"): f"{verified.row.row.index + 1:,}",
        later("with"): ", ".join(f"{name}={value}" for name, value in params.items()) or None,
        later("answer"): None if isinstance(outcome, Reason) else in_words(outcome),
    }


def _row_document(verified: VerifiedUse) -> dict[str, object] | None:
    shown, record = verified.row, verified.record
    if shown is None or record is None:
        return None
    return {
        "index": shown.row.index,
        "subject": shown.subject,
        "outcome": in_document(record.outcome),
        "consent": record.consent,
        "cells": record.charges,
        "time": shown.judged_at.isoformat(),
    }


def _about(verified: VerifiedUse) -> str | None:
    if verified.row is not None:
        return verified.row.subject
    if isinstance(verified.word, Disclosure):
        return verified.word.subject
    return None if verified.request is None else subject_of(verified.request)


def write_receipts(room: Room, uses: Sequence[Use], folder: Path, *, quiet: bool) -> None:
    """Write the receipt of each use that an enclave spoke of, by its entry of the log."""
    bar, move = progress_of("receipts", quiet=quiet)
    with bar:
        for done, use in enumerate(uses):
            move(done, len(uses))
            if use.owner is not None:
                write_file(folder / f"{use.name}.json", room.use_receipt(use).to_json())
