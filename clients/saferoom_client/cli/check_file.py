"""Questions about a whole file of applicants: one signed batch, answers beside the applicants.

Checks and scores are asked in the same way; `score_file` has what is of scores alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, TypeVar

import typer

from saferoom_client.advice import Again
from saferoom_client.applicants import read_applicants, summary, write_answers
from saferoom_client.batch import Asked, Batch, make_batch
from saferoom_client.batches import Progress
from saferoom_client.cli.output import mapping, progress_of, saying_how_to_go_on, show
from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    read_private,
    refuse_existing,
    require_writable,
    write_file,
)
from saferoom_client.kinds import another_kind
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.values import TemplateView
from saferoom_proto.batch_receipt import BatchReceipt
from saferoom_proto.reasons import Reason

FileOption = Annotated[
    Path | None,
    typer.Option(help="A CSV of applicants: ask about each.", exists=True),
]
AnswersOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="With --file: where the answers go, as CSV."),
]
ColumnOption = Annotated[
    str | None,
    typer.Option(help="With --file: the column of subjects, if it is not uscc."),
]

T = TypeVar("T")

_PASSING: Final = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.DEADLINE,
        Reason.LOCKED,
        Reason.STALE_HEAD,
        Reason.NOT_WITNESSED,
        Reason.OUTBOX_WAITING,
        Reason.TOO_MANY_REQUESTS,
    }
)
"""Refusals after which the same batch goes on where it stopped."""
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between tries; after the last one the command ends, and can be typed again."""


@dataclass(frozen=True, slots=True)
class FileAsked:
    """What a command was asked about a file.

    Attributes:
        template: its name or digest.
        purpose: what the answers are for.
        params: parameters of all rows.
        file: the applicants.
        out: where the answers go.
        column: the column of subjects, if it was named.
        receipt: where the batch's receipt goes.
    """

    template: str
    purpose: str
    params: dict[str, str]
    file: Path
    out: Path
    column: str | None
    receipt: Path | None

    @property
    def state(self) -> Path:
        """Where the signed batch is kept until its answers are written."""
        return self.out.with_name(self.out.name + ".batch")

    @property
    def receipt_file(self) -> Path:
        """Where the batch's receipt goes: beside the answers, unless said otherwise."""
        return self.receipt or self.out.with_name(self.out.name + ".receipt.json")

    def require_writable(self) -> None:
        """Refuse before anything is asked what could not be written after it."""
        refuse_existing(self.out)
        require_writable(self.out, self.receipt_file)

    def forget_if_final(self, refused: Refused) -> None:
        """Remove the signed batch where asking the same again is of no use: another is signed."""
        if refused.again is Again.NEW:
            self.state.unlink(missing_ok=True)

    def finish(self, receipt: BatchReceipt, written: Callable[[], bytes]) -> None:
        """Write the receipt, then the answers; the signed batch is not needed any more."""
        write_file(self.receipt_file, receipt.to_json())
        write_file(self.out, written(), PUBLIC_FILE)
        self.state.unlink(missing_ok=True)


def check_file(room: Room, asked: FileAsked, *, as_json: bool) -> None:
    """Ask a check about every applicant of a file, and write the answers beside them."""
    asked.require_writable()
    view = room.get_template(asked.template)
    if view.template.kind != "Check":
        raise another_kind(view)
    names = view.template.params.keys() - asked.params.keys()
    applicants = read_applicants(asked.file, names, asked.column)
    batch, again = keep_batch(room, asked, view, applicants.rows())
    answer = ask_on(asked, lambda told: room.ask_many(batch, progress=told), quiet=as_json)
    asked.finish(answer.receipt, lambda: write_answers(applicants, answer))
    show_rows(asked, answer.request_id, summary(answer), again=again, as_json=as_json)


def keep_batch(
    room: Room, asked: FileAsked, view: TemplateView, rows: Iterable[Asked]
) -> tuple[Batch, bool]:
    """Sign the batch, or take up the one that an earlier run of the command left."""
    made = make_batch(
        room.profile,
        view,
        rows=rows,
        purpose=asked.purpose,
        params=asked.params,
        now=room.session.clock(),
    )
    if not asked.state.exists():
        write_file(asked.state, made.to_json())
        return made, False
    kept = Batch.from_json(read_private(asked.state))
    if _question(kept) != _question(made):
        rule = (
            "it belongs to a batch of other applicants or values; finish that, or remove the file"
        )
        raise bad_file(asked.state, rule)
    return kept, True


def _question(batch: Batch) -> tuple[object, ...]:
    request = batch.request
    return (
        batch.packed,
        request.template,
        request.certificate,
        request.purpose,
        request.params,
        request.institution,
    )


def ask_on(asked: FileAsked, ask: Callable[[Progress], T], *, quiet: bool) -> T:
    """Ask a batch until nothing is in its way, or it was tried often enough."""
    try:
        with saying_how_to_go_on():
            return _asked_on(ask, quiet=quiet)
    except Refused as refused:
        asked.forget_if_final(refused)
        raise


def _asked_on(ask: Callable[[Progress], T], *, quiet: bool) -> T:
    bar, move = progress_of("judging", quiet=quiet)
    with bar:
        for pause in _PAUSES_SECONDS:
            try:
                return ask(move)
            except Refused as refused:
                if refused.reason not in _PASSING:
                    raise
                bar.console.print(
                    say("{reason}: trying again in {pause} s", reason=refused.reason, pause=pause)
                )
                time.sleep(pause)
        return ask(move)


def show_rows(
    asked: FileAsked,
    request_id: str,
    counts: Mapping[str, int],
    named: Mapping[str, str] = MappingProxyType({}),
    *,
    again: bool,
    as_json: bool,
) -> None:
    """Say what became of the rows, and where the answers are; some by name."""
    count = sum(counts.values())
    document = {
        "request_id": request_id,
        "rows": count,
        "counts": counts,
        "resumed": again,
        "out": str(asked.out),
        "receipt": str(asked.receipt_file),
    }
    told = {
        # A reason stays the code that it is in the file of answers.
        named.get(name) or (name if name.isupper() else say(name.replace("_", " "))): f"{count:,}"
        for name, count in counts.items()
    }
    rows = say("{rows:,} rows", rows=count)
    if again:
        rows = say("{rows:,} rows, taken up where an earlier run stopped", rows=count)
    show(
        as_json,
        document,
        rows,
        *(f"  {line}" for line in mapping(told)),
        say("  id       {request_id}", request_id=request_id),
        say("  answers  {file}", file=asked.out),
        say("  receipt  {file}; it opens every row, so guard it", file=asked.receipt_file),
        say(
            "  one row  saferoom receipt row {file} --subject USCC --out row.json",
            file=asked.receipt_file,
        ),
    )


def require_whole(template: str, purpose: str, out: Path | None) -> Path:
    """Refuse a file check that lacks an option; gives where the answers go."""
    if not template or not purpose or out is None:
        raise typer.BadParameter(later("with --file, give TEMPLATE, --purpose and --out"))
    return out
