"""Requests for consent, on both sides: a bank asks, a subject reads what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.narrow import folded, quoted
from saferoom_client.cli.options import (
    MOST_DAYS,
    JsonOption,
    ProfileOption,
    PurposeOption,
    SubjectOption,
    digest_of,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.consent_requests import OPEN_DAYS, AskedConsent
from saferoom_client.files import bad_file, read_filled
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_client.values import GivenConsent


def request(
    profile: ProfileOption,
    *,
    subject: SubjectOption,
    purpose: PurposeOption,
    feature: Annotated[list[str], typer.Option(help="OWNER.FEATURE to be used; repeat it.")],
    notice: Annotated[Path, typer.Option(help="The risk notice to be shown, a text.", exists=True)],
    why: Annotated[str, typer.Option(help="What it is about, in a line.")],
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="Days the consent lasts.")] = 30,
    uses: Annotated[int | None, typer.Option(min=1, help="How many questions at most.")] = None,
    open_days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="Days to answer in.")
    ] = OPEN_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Ask a subject for its consent; it sees the request, the notice, and who signed it."""
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
        say("asked {subject}: {digest}", subject=subject, digest=digest),
        say("it answers with: saferoom consent grant --request {digest}", digest=digest),
    )


def requests(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List requests for consent: those made to you, or your institution's own."""
    with Room.open(profile) as room:
        asked = room.list_consent_requests()
    lines = [line for each in reversed(asked) for line in describe_request(each, short=True)]
    show(as_json, [request_document(each) for each in asked], *(lines or [say("none")]))


def show_(
    digest: Annotated[str, typer.Argument(help="Of a consent, or of a request.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show a consent, or a request for one with its risk notice, in plain words."""
    digest_of(digest, "DIGEST", "consent list")
    with Room.open(profile) as room:
        given = next((each for each in room.list_consents() if each.digest == digest), None)
        if given is not None:
            show(as_json, consent_document(given), *describe_consent(given))
            return
        asked = room.get_consent_request(digest)
    show(as_json, request_document(asked), *describe_request(asked))


def describe_request(asked: AskedConsent, *, short: bool = False) -> Iterator[str]:
    """Tell a subject what a bank asks of it, and with which risk notice."""
    request = asked.request
    yield from folded(
        say(
            "{institution} ({asker}) asks {subject}: {why}",
            institution=request.institution,
            asker=asked.asker,
            subject=request.subject,
            why=request.why,
        )
    )
    yield from folded(say("to be let use {features}", features=", ".join(request.features)), 1)
    uses = (
        say("any number of questions")
        if request.uses is None
        else say("at most {uses} questions", uses=request.uses)
    )
    yield from folded(
        say(
            "for {purposes}: {uses}, for {days} days",
            purposes=", ".join(request.purposes),
            uses=uses,
            days=request.days,
        ),
        1,
    )
    yield from folded(say("answer until {moment}", moment=moment(request.valid_to)), 1)
    yield from folded(say("request {digest}", digest=asked.digest), 1)
    if short:
        return
    yield from folded(say("the risk notice ({notice}) says:", notice=request.notice), 1)
    yield from quoted(request.notice_text)
    yield from folded(
        say("to grant it: saferoom consent grant --request {digest}", digest=asked.digest), 1
    )


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


def describe_consent(given: GivenConsent) -> Iterator[str]:
    """Tell a subject what it consented to."""
    consent = given.consent
    taken = say(", taken back") if given.revoked else ""
    yield from folded(
        say(
            "{subject} lets {institution} ask{taken}",
            subject=consent.subject,
            institution=consent.institution,
            taken=taken,
        )
    )
    named = [
        *consent.features,
        *(say("type {kind}", kind=each) for each in consent.information_types),
    ]
    yield from folded(say("about {named}", named=", ".join(named)), 1)
    uses = (
        say("any number of questions")
        if consent.uses is None
        else say("at most {uses} questions", uses=consent.uses)
    )
    yield from folded(
        say(
            "for {purposes}: {uses} at each owner", purposes=", ".join(consent.purposes), uses=uses
        ),
        1,
    )
    yield from folded(
        say(
            "from {first} to {last}",
            first=moment(consent.valid_from),
            last=moment(consent.valid_to),
        ),
        1,
    )
    if consent.paper is not None:
        yield from folded(
            say("on paper, registered by {registrar}", registrar=consent.paper.registrar), 1
        )
        yield from folded(say("scan {scan}", scan=consent.paper.scan), 1)
    yield from folded(say("risk notice {notice}", notice=consent.notice), 1)
    yield from folded(say("consent {digest}", digest=given.digest), 1)


def _text(path: Path) -> str:
    try:
        return read_filled(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_file(path, "not UTF-8") from error
