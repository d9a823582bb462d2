"""A table's receipt, as the command line shows it."""

from __future__ import annotations

from saferoom_client.cli.noise_words import spent_document, spent_line
from saferoom_client.cli.output import Shown, mapping, moment
from saferoom_client.table_words import of_all
from saferoom_client.tongue import later, say
from saferoom_proto.tables.receipt import TableReceipt, VerifiedTables, verify_table_receipt
from saferoom_proto.tables.told import Told
from saferoom_proto.trust import Trust

_CHECKED = later("the charters, agreement, approvals, enclave, its tables, and the log")
_CHECKED_REFUSAL = later("the charters, agreement, enclave, what it said, and the log")


def shown_table(receipt: TableReceipt, trust: Trust) -> Shown:
    """Verify a table's receipt and lay out what it says."""
    verified = verify_table_receipt(receipt, trust)
    release, request = verified.release, verified.request
    tables = verified.tables
    lines = mapping(
        {
            "asked by": say(
                "{institution}, for {purpose}",
                institution=request.institution,
                purpose=request.purpose,
            ),
            "tables": verified.template.name,
            "answer": say("refused, {reason}", reason=release.reason)
            if tables is None
            else of_all(tables),
            "id": verified.request_id,
        }
    )
    if release.privacy is not None:
        lines = [*lines, spent_line(release.privacy)]
    told = say("verified: {what}", what=say(_CHECKED_REFUSAL if tables is None else _CHECKED))
    place = say(
        "  {owner}: {moment}, entry {index} of the log",
        owner=release.owner,
        moment=moment(release.time),
        index=verified.index,
    )
    return Shown(_document(verified), (told, *lines, place))


def _document(verified: VerifiedTables) -> dict[str, object]:
    release = verified.release
    return {
        "verified": True,
        "request_id": verified.request_id,
        "request": verified.request.model_dump(mode="json"),
        "template": verified.template.name,
        "owner": release.owner,
        "outcome": release.outcome,
        "reason": release.reason,
        "time": release.time.isoformat(),
        "together": release.together,
        "entry": verified.index,
        "log_size": verified.checkpoint.size,
        "privacy": spent_document(release.privacy),
        "tables": None if verified.tables is None else tables_document(verified.tables),
    }


def tables_document(tables: tuple[Told, ...]) -> list[dict[str, object]]:
    """Write tables for a program; a number that is withheld is null."""
    return [
        {
            "measure": {
                "kind": table.measure.kind,
                **({"of": table.measure.of} if table.measure.of else {}),
                **({"classes": table.measure.classes} if table.measure.classes else {}),
            },
            "margin": table.margin,
            "columns": table.columns,
            "cells": [{"classes": cell.classes, "number": cell.number} for cell in table.cells],
        }
        for table in tables
    ]
