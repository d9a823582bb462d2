"""Commands about receipts. They need nothing of the room but the keys pinned when joining."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client import standalone
from saferoom_client.cli.answer_words import asked_by, in_document, in_words, reasons_of
from saferoom_client.cli.fit_words import shown_fit
from saferoom_client.cli.list_receipt import shown_list
from saferoom_client.cli.options import InputFile, JsonOption, NewFile, group
from saferoom_client.cli.output import Shown, mapping, moment, show
from saferoom_client.cli.receipt_kinds import naming, read_receipt, require_kind
from saferoom_client.cli.receipt_rows import row, shown_batch, shown_row
from saferoom_client.cli.receipt_witness import shown_vouching, witness
from saferoom_client.cli.report_receipt import shown_report
from saferoom_client.cli.sum_words import shown_sum
from saferoom_client.cli.table_receipt import shown_table
from saferoom_client.cli.use_receipt import shown_use
from saferoom_client.files import PUBLIC_FILE, read_file, read_model, write_file
from saferoom_client.fits.page import page_of as fit_page
from saferoom_client.profile import pinned_trust
from saferoom_client.receipt_kinds import Kind, ReceiptFile
from saferoom_client.sheet.facts import Sheet, read_sheet
from saferoom_client.sheet.render import html, text
from saferoom_client.sheet.row_facts import read_row_sheet
from saferoom_client.sheet.rows import Page
from saferoom_client.sheet.words import Language
from saferoom_client.tongue import later, say, speak, spoken
from saferoom_proto.batch_receipt import BatchReceipt, RowReceipt
from saferoom_proto.fit_receipt import FitReceipt, verify_fit_receipt
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, VerifiedReceipt, verify_receipt
from saferoom_proto.reports.list_receipt import ListReceipt
from saferoom_proto.reports.receipt import ReportReceipt
from saferoom_proto.statements import Returns
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.sum_receipt import SumReceipt
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt

app = group("Verify and show receipts, offline.")

TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", help="A file of pinned keys, for auditors without a profile."),
]
OfflineProfile = Annotated[
    Path | None,
    typer.Option("--profile", "-p", envvar="SAFEROOM_PROFILE", help="Your member folder."),
]


@app.command()
def verify(
    file: InputFile,
    profile: OfflineProfile = None,
    trust: TrustOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a receipt, a batch's, or one row's, under the pinned keys; nothing is asked."""
    pinned = _trust(profile, trust)
    with naming(file, profile if trust is None else None):
        receipt = read_receipt(file, read_file(file))
        shown = _verified(receipt, pinned) + shown_vouching(receipt, pinned, profile)
    shown.print(as_json=as_json)


@app.command(name="show")
def show_(
    file: InputFile,
    profile: OfflineProfile = None,
    trust: TrustOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a receipt says, once it verifies."""
    data = read_file(file)
    require_kind(file, data, Kind.CHECK)
    pinned = _trust(profile, trust)
    with naming(file, profile if trust is None else None):
        verified = verify_receipt(Receipt.from_json(data), pinned)
    releases = {
        owner: part.release.model_dump(mode="json") for owner, part in verified.parts.items()
    }
    document = {
        **_document(verified),
        "request": verified.request.model_dump(mode="json"),
        "template": verified.template.model_dump(mode="json"),
        "releases": releases,
    }
    show(as_json, document, *_lines(verified))


@app.command()
def export(
    file: InputFile,
    out: NewFile,
    *,
    profile: OfflineProfile = None,
    trust: TrustOption = None,
    language: Annotated[
        Language | None,
        typer.Option("--lang", help="The page's language, en or zh; else the command line's."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a receipt as a page for people, once it verifies: .html or .txt."""
    render = _RENDERERS.get(out.suffix.lower())
    if render is None:
        rule = say("one of {renderers} at the end of its name", renderers=", ".join(_RENDERERS))
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--out", rule)])
    data, pinned, language = read_file(file), _trust(profile, trust), language or spoken()
    require_kind(file, data, Kind.CHECK, Kind.ROW, Kind.FIT)
    with naming(file, profile if trust is None else None):
        sheet, answer = _page_of(read_receipt(file, data), pinned, language)
    write_file(out, render(sheet).encode(), PUBLIC_FILE)
    document = {"file": str(out), "language": language, "answer": answer}
    show(
        as_json,
        document,
        say("wrote {out}: {answer}", out=out, answer=sheet.answer),
        say("the proof is {file}: keep it too", file=file),
    )


app.command()(row)
app.command()(witness)


@app.command()
def verifier() -> None:
    """Print a verifier of receipts as one Python file that needs nothing of ours.

    It asks for Python 3.11 and the package `cryptography` alone: save it, read it, keep it.
    """
    typer.echo(files(standalone).joinpath("verify_receipt.py").read_bytes(), nl=False)


_TRUTHS: Final = (later("yes"), later("no"), later("not_found"))
"""What is said of an answer, listed for translation."""
_RENDERERS: Final = {".html": html, ".txt": text}
_CHECKED = later("the charters, agreements, approvals, consents, enclaves, answers, and the log")
_CHECKED_REFUSAL = later("the charters, agreements, enclaves, what each of them said, and the log")


def _page_of(
    receipt: ReceiptFile, pinned: Trust, language: Language
) -> tuple[Sheet | Page, str | None]:
    """Make the page of what a receipt proves, and give its answer, if it has one."""
    match receipt:
        case FitReceipt():
            verified, outside = verify_fit_receipt(receipt, pinned), spoken()
            speak(language)  # as the page is to be
            try:
                return fit_page(verified), None
            finally:
                speak(outside)
        case RowReceipt():
            sheet = read_row_sheet(receipt, pinned, language)
        case Receipt():
            sheet = read_sheet(receipt, pinned, language)
        case _:
            raise SafeRoomError(Reason.MALFORMED, later("it has no page"))
    return sheet, None if sheet.truth is None else str(sheet.truth)


def _verified(receipt: ReceiptFile, pinned: Trust) -> Shown:
    match receipt:
        case UseReceipt():
            shown = shown_use(receipt, pinned)
        case TableReceipt():
            shown = shown_table(receipt, pinned)
        case SumReceipt():
            shown = shown_sum(receipt, pinned)
        case FitReceipt():
            shown = shown_fit(receipt, pinned)
        case ListReceipt():
            shown = shown_list(receipt, pinned)
        case ReportReceipt():
            shown = shown_report(receipt, pinned)
        case BatchReceipt():
            shown = shown_batch(receipt, pinned)
        case RowReceipt():
            shown = shown_row(receipt, pinned)
        case Receipt():
            shown = _shown_check(receipt, pinned)
    return shown


def _shown_check(receipt: Receipt, pinned: Trust) -> Shown:
    verified = verify_receipt(receipt, pinned)
    what = say(_CHECKED if verified.answer else _CHECKED_REFUSAL)
    told = say("verified: {what}", what=what)
    return Shown({"verified": True, **_document(verified)}, (told, *_lines(verified)))


def _lines(verified: VerifiedReceipt) -> list[str]:
    request, template = verified.request, verified.template
    params = ", ".join(f"{name}={value}" for name, value in request.params.items())
    reasons = reasons_of(template, verified.answer)
    lines = mapping(
        {
            "asked by": say(
                "{institution}, for {purpose}",
                institution=request.institution,
                purpose=request.purpose,
            ),
            "about": request.subject,
            "question": f"{template.name}: {asked_by(template)}",
            **({say("with"): params} if params else {}),
            "answer": in_words(verified.answer) if verified.answer else say("refused"),
            **({say("raised most by"): ", ".join(reasons)} if reasons else {}),
            **_blind(verified),
            "id": verified.request_id,
        }
    )
    for owner, part in verified.parts.items():
        told = part.answer
        said = in_words(told) if told else say("refused, {reason}", reason=part.release.reason)
        lines.append(
            say(
                "  {owner}: {said}, {moment}, entry {index} of the log",
                owner=owner,
                said=said,
                moment=moment(part.release.time),
                index=part.index,
            )
        )
    return lines


def _blind(verified: VerifiedReceipt) -> dict[str, str]:
    """Say what the receipt of a blind match is no evidence of."""
    if verified.template.returns is not Returns.BLIND:
        return {}
    return {"blind": say("the asker chose what was tested; nobody else can tell what it was")}


def _document(verified: VerifiedReceipt) -> dict[str, object]:
    reasons = reasons_of(verified.template, verified.answer)
    return {
        "answer": in_document(verified.answer),
        **({"reasons": list(reasons)} if reasons else {}),
        "request_id": verified.request_id,
        "parts": {
            owner: {
                "outcome": part.release.outcome,
                "answer": in_document(part.answer),
                "reason": part.release.reason,
                "time": part.release.time.isoformat(),
                "entry": part.index,
                "log_size": part.checkpoint.size,
            }
            for owner, part in verified.parts.items()
        },
    }


def _trust(profile: Path | None, trust: Path | None) -> Trust:
    if trust is not None:
        return read_model(trust, Trust)
    if profile is None:
        raise typer.BadParameter(
            later("give --profile or --trust: a receipt is verified under keys")
        )
    return pinned_trust(profile)
