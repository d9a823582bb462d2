"""Requests for consent, on both sides: a bank asks, a subject reads what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.narrow import folded
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    PurposeOption,
    SubjectOption,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.consent_requests import OPEN_DAYS, AskedConsent
from saferoom_client.files import bad_file, read_file
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.values import GivenConsent
from saferoom_proto.encoding import check_digest


def request(
    profile: ProfileOption,
    *,
    subject: SubjectOption,
    purpose: PurposeOption,
    feature: Annotated[
        list[str], typer.Option(help="OWNER.FEATURE to be used; repeat it. 特征指标。")
    ],
    notice: Annotated[
        Path, typer.Option(help="The risk notice to be shown, a text. 风险提示文件。", exists=True)
    ],
    why: Annotated[str, typer.Option(help="What it is about, in a line. 事由。")],
    days: Annotated[int, typer.Option(min=1, help="Days the consent lasts. 授权天数。")] = 30,
    uses: Annotated[
        int | None, typer.Option(min=1, help="How many questions at most. 最多次数。")
    ] = None,
    open_days: Annotated[
        int, typer.Option(min=1, help="Days to answer in. 答复期限。")
    ] = OPEN_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Ask a subject for its consent; it sees the request, the notice, and who signed it.

    请求授权。
    """
    with Room.open(profile) as room:
        recorded = room.request_consent(
            subject,
            purposes=tuple(read_purpose(text) for text in purpose),
            features=tuple(feature),
            notice=_text(notice),
            why=why,
            days=days,
            uses=uses,
            open_days=open_days,
        )
    digest = recorded.statement.digest
    show(
        as_json,
        {"request": digest, "subject": subject},
        f"asked {subject}: {digest}",
        f"it answers with: saferoom consent grant --request {digest}",
    )


def requests(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List requests for consent: those made to you, or your institution's own.

    列出授权请求。
    """
    with Room.open(profile) as room:
        asked = room.list_consent_requests()
    lines = [line for each in reversed(asked) for line in describe_request(each, short=True)]
    show(as_json, [request_document(each) for each in asked], *(lines or ["none"]))


def show_(
    digest: Annotated[str, typer.Argument(help="Of a consent, or of a request. 授权或请求摘要。")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show a consent, or a request for one with its risk notice, in plain words.

    查看授权或授权请求。
    """
    check_digest(digest)
    with Room.open(profile) as room:
        given = next((each for each in room.list_consents() if each.digest == digest), None)
        if given is not None:
            show(as_json, consent_document(given), *_describe_consent(given))
            return
        asked = room.get_consent_request(digest)
    show(as_json, request_document(asked), *describe_request(asked))


def describe_request(asked: AskedConsent, *, short: bool = False) -> Iterator[str]:
    """Tell a subject what a bank asks of it, and with which risk notice."""
    request = asked.request
    yield from folded(
        f"{request.institution} ({asked.asker}) asks {request.subject}: {request.why}"
    )
    yield from folded(f"to be let use {', '.join(request.features)}", 1)
    uses = (
        "any number of questions" if request.uses is None else f"at most {request.uses} questions"
    )
    yield from folded(f"for {', '.join(request.purposes)}: {uses}, for {request.days} days", 1)
    yield from folded(f"answer until {moment(request.valid_to)}", 1)
    yield from folded(f"request {asked.digest}", 1)
    if short:
        return
    yield from folded(f"the risk notice ({request.notice}) says:", 1)
    for line in request.notice_text.splitlines():
        yield f"    | {line}"
    yield from folded(f"to grant it: saferoom consent grant --request {asked.digest}", 1)


def request_document(asked: AskedConsent) -> dict[str, object]:
    """Write a request for a program."""
    return {
        "digest": asked.digest,
        "asker": asked.asker,
        "entry": asked.index,
        **asked.request.model_dump(mode="json", exclude={"signer"}),
    }


def consent_document(given: GivenConsent) -> dict[str, object]:
    """Write a consent for a program."""
    return {
        "digest": given.digest,
        "revoked": given.revoked,
        **given.consent.model_dump(mode="json"),
    }


def _describe_consent(given: GivenConsent) -> Iterator[str]:
    consent = given.consent
    taken = ", taken back" if given.revoked else ""
    yield from folded(f"{consent.subject} lets {consent.institution} ask{taken}")
    named = [*consent.features, *(f"type {each}" for each in consent.information_types)]
    yield from folded(f"about {', '.join(named)}", 1)
    uses = (
        "any number of questions" if consent.uses is None else f"at most {consent.uses} questions"
    )
    yield from folded(f"for {', '.join(consent.purposes)}: {uses} at each owner", 1)
    yield from folded(f"from {moment(consent.valid_from)} to {moment(consent.valid_to)}", 1)
    if consent.paper is not None:
        yield from folded(f"on paper, registered by {consent.paper.registrar}", 1)
        yield from folded(f"scan {consent.paper.scan}", 1)
    yield from folded(f"risk notice {consent.notice}", 1)
    yield from folded(f"consent {given.digest}", 1)


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_file(path, "not UTF-8") from error
