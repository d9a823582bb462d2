"""The one question that the room is for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from saferoom_client.cli.check_file import (
    AnswersOption,
    ColumnOption,
    FileAsked,
    FileOption,
    check_file,
    require_whole,
)
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.options import (
    BlindOption,
    JsonOption,
    MaybeSubjectOption,
    ProfileOption,
    pairs,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.receipt_files import show_answer, unwritten, write_refusal
from saferoom_client.files import read_private, require_writable, write_file
from saferoom_client.question import Question
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.values import CheckAnswer
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import envelope_to_proto

_RequestOption = Annotated[
    Path | None,
    typer.Option(
        help="Write the signed request here, for another gRPC client, and ask nothing.",
        dir_okay=False,
    ),
]


def check(
    profile: ProfileOption,
    *,
    template: Annotated[str, typer.Argument(help="Its digest, or its name.")] = "",
    subject: MaybeSubjectOption = None,
    purpose: Annotated[str, typer.Option(help="What the answer is for.")] = "",
    param: Annotated[list[str], typer.Option(help="NAME=VALUE of a parameter; repeat it.")] = [],  # noqa: B006 - Typer copies it
    blind: BlindOption = False,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here.", dir_okay=False)
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the signed question here, to ask it again."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(help="Ask a kept question again, free of charge.", exists=True),
    ] = None,
    request: _RequestOption = None,
    file: FileOption = None,
    out: AnswersOption = None,
    column: ColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a check about one subject or a file of them, and print the verified answer."""
    _require_new(blind=blind, given=file or again)
    given = pairs(param, "NAME=VALUE")
    if again is not None and (template or subject or purpose or given or file or keep):
        raise typer.BadParameter(
            later("--again asks what is kept as it is: give no other question")
        )
    if file is not None and (subject or keep or request):
        raise typer.BadParameter(later("--subject, --keep and --request do not go with --file"))
    require_writable(receipt, keep, request)
    with Room.open(profile) as room:
        if file is not None:
            whither = require_whole(template, purpose, out)
            asked = FileAsked(template, purpose, given, file, whither, column, receipt)
            check_file(room, asked, as_json=as_json)
            return
        if again is not None:
            question = Question.from_json(read_private(again))
        elif template and subject and purpose:
            with saying_next(Asked(profile, template, subject, purpose, given, blind=blind)):
                question = room.prepare(
                    template, subject=subject, purpose=purpose, params=given, blind=blind
                )
        else:
            raise typer.BadParameter(later("give TEMPLATE, --subject and --purpose, or --again"))
        kept = again or keep
        if keep is not None:
            _keep(keep, question)
        if request is not None:
            _write_request(request, question, room.profile.card.address, as_json=as_json)
            return
        asking = Asked(profile, template, subject or "", purpose, given, kept, blind=blind)
        with saying_next(asking):
            try:
                answer = room.ask(question, None if kept is None else partial(_keep, kept))
            except Refused as refused:
                write_refusal(receipt, refused)
                raise
    failed = None if receipt is None else unwritten(receipt, answer.receipt, kept)
    lines = _lines(answer, again=again is not None)
    show_answer(as_json, _document(answer), *lines, failed=failed)


def _keep(path: Path, question: Question) -> None:
    write_file(path, question.to_json())


def _require_new(*, blind: bool, given: Path | None) -> None:
    if blind and given is not None:
        raise typer.BadParameter(later("--blind is of a new question about one subject"))


def _write_request(path: Path, question: Question, address: str, *, as_json: bool) -> None:
    """Write a question as the message that any gRPC client sends: protobuf's own JSON."""
    message = check_pb2.CheckRequest(request=envelope_to_proto(question.envelope))
    write_file(path, MessageToJson(message).encode() + b"\n")
    method = check_pb2.DESCRIPTOR.services_by_name["CheckService"].full_name + "/Check"
    url = f"https://{address}/{method}"
    document = {"request_id": question.request_id, "file": str(path), "url": url}
    show(
        as_json,
        document,
        say(
            "wrote the signed request to {path}; it counts until {moment}",
            path=path,
            moment=moment(question.request.not_after),
        ),
        say("  id    {request_id}", request_id=question.request_id),
        say("  send  {url}", url=url),
    )


def _lines(answer: CheckAnswer, *, again: bool) -> list[str]:
    words = {"yes": say("yes"), "no": say("no"), "not_found": say("not found")}
    lines = [words[answer.truth]]
    if len(answer.parts) > 1:
        lines += [f"  {owner}: {words[truth]}" for owner, truth in answer.parts.items()]
    lines.append(say("  id    {request_id}", request_id=answer.request_id))
    lines.append(say("  cost  {bits:.2f} bits beyond what was asked before", bits=answer.bits))
    if again:
        lines.append(say("        as charged the first time; nothing is charged for asking again"))
    return lines


def _document(answer: CheckAnswer) -> dict[str, object]:
    return {
        "answer": answer.truth,
        "parts": dict(answer.parts),
        "request_id": answer.request_id,
        "time": answer.time.isoformat(),
        "bits": round(answer.bits, 3),
        "charges": [charge.model_dump(mode="json") for charge in answer.charges],
    }
