"""Receipts of batches, as the receipt commands show them; and one row's, taken out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.answer_words import asked_by, in_document, in_words, reasons_of
from saferoom_client.cli.options import InputFile, JsonOption, NewFile, ProfileOption, subject_code
from saferoom_client.cli.output import Shown, mapping, moment, show
from saferoom_client.cli.receipt_kinds import require_kind
from saferoom_client.files import PUBLIC_FILE, bad_file, read_file, require_writable, write_file
from saferoom_client.receipt_kinds import Kind
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_proto.batch import ROW_BYTES, Row, split
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    VerifiedRow,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.encoding import unb64
from saferoom_proto.trust import Trust


def row(
    file: InputFile,
    profile: ProfileOption,
    out: NewFile,
    *,
    subject: Annotated[
        str | None,
        typer.Option(parser=subject_code, metavar="USCC", help="The row's subject."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--row",
            min=1,
            help="Its number, from 1, where a subject has several.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take one row's receipt out of a batch's; it shows nothing of the other rows."""
    data = read_file(file)
    require_kind(file, data, Kind.BATCH)
    require_writable(out)
    receipt = BatchReceipt.from_json(data)
    index = _index(file, receipt, subject, number)
    with Room.open(profile) as room:
        taken = room.row_receipt(receipt, index)
        trust = room.profile.trust
    write_file(out, taken.to_json(), PUBLIC_FILE)
    verified = verify_row_receipt(taken, trust)
    show(
        as_json,
        _row_document(verified) | {"file": str(out)},
        say("wrote {out}", out=out),
        *_lines(verified),
    )


def _index(file: Path, receipt: BatchReceipt, subject: str | None, number: int | None) -> int:
    rows = [Row.from_bytes(each) for (each,) in split(unb64(receipt.rows), ROW_BYTES)]
    if number is not None:
        if number > len(rows):
            raise bad_file(file, f"it has {len(rows)} rows")
        if subject is not None and rows[number - 1].subject != subject:
            raise bad_file(file, f"row {number} is about another subject")
        return number - 1
    if subject is None:
        raise typer.BadParameter(later("give --subject or --row"))
    found = [index for index, each in enumerate(rows) if each.subject == subject]
    if not found:
        raise bad_file(file, "no row of it is about this subject")
    if len(found) > 1:
        numbers = ", ".join(str(index + 1) for index in found)
        raise bad_file(file, f"rows {numbers} are about this subject; choose with --row")
    return found[0]


def shown_batch(receipt: BatchReceipt, trust: Trust) -> Shown:
    """Verify a batch's receipt, and tell what it shows."""
    verified = verify_batch_receipt(receipt, trust)
    parts = {
        owner: {
            "answered": grounds.release.answered,
            "refused": grounds.release.refused,
            "time": grounds.release.time.isoformat(),
            "entry": grounds.index,
            "log_size": grounds.checkpoint.size,
        }
        for owner, grounds in verified.items()
    }
    release = next(iter(verified.values())).release
    document: dict[str, object] = {
        "verified": True,
        "request_id": release.request,
        "parts": parts,
    }
    lines = [
        say(
            "  {owner}: {answered:,} answered, {refused:,} refused, {time}, entry {index}",
            owner=owner,
            answered=grounds.release.answered,
            refused=grounds.release.refused,
            time=moment(grounds.release.time),
            index=grounds.index,
        )
        for owner, grounds in verified.items()
    ]
    return Shown(
        document,
        (
            say("verified: the charters, approvals, enclaves, every row's outcome, and the log"),
            *mapping({"asked by": release.institution, "id": release.request}),
            *lines,
            say("  a row's consent is verified with its own receipt: saferoom receipt row"),
        ),
    )


def shown_row(receipt: RowReceipt, trust: Trust) -> Shown:
    """Verify a row's receipt, and tell what it shows."""
    verified = verify_row_receipt(receipt, trust)
    told = say("verified: the charters, approvals, consents, enclaves, this row, and the log")
    return Shown({"verified": True, **_row_document(verified)}, (told, *_lines(verified)))


def _row_document(verified: VerifiedRow) -> dict[str, object]:
    reasons = reasons_of(verified.template, verified.answer)
    return {
        "answer": in_document(verified.answer),
        **({"reasons": list(reasons)} if reasons else {}),
        "subject": verified.row.subject,
        "request_id": verified.request_id,
        "parts": {
            owner: {
                "outcome": in_document(part.record.outcome),
                "consent": part.record.consent,
                "cells": part.record.charges,
                "time": part.judged_at.isoformat(),
                "entry": part.index,
                "log_size": part.checkpoint.size,
            }
            for owner, part in verified.parts.items()
        },
    }


def _lines(verified: VerifiedRow) -> list[str]:
    request, template = verified.request, verified.template
    params = request.params[verified.row.parameters]
    reasons = reasons_of(template, verified.answer)
    shown = ", ".join(f"{name}={value}" for name, value in params.items())
    return [
        *mapping(
            {
                "asked by": say(
                    "{institution}, for {purpose}",
                    institution=request.institution,
                    purpose=request.purpose,
                ),
                "about": verified.row.subject,
                "question": f"{template.name}: {asked_by(template)}",
                **({"with": shown} if shown else {}),
                "answer": in_words(verified.answer) if verified.answer else say("refused"),
                **({say("raised most by"): ", ".join(reasons)} if reasons else {}),
                "batch": say(
                    "{request_id}, {rows:,} rows", request_id=verified.request_id, rows=request.rows
                ),
            }
        ),
        *(
            say(
                "  {owner}: {outcome}, {time}, entry {index} of the log",
                owner=owner,
                outcome=in_words(part.record.outcome),
                time=moment(part.judged_at),
                index=part.index,
            )
            for owner, part in verified.parts.items()
        ),
    ]
