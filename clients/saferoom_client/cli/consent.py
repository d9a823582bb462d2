"""Commands about consents, of subjects, registrars and those who ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.consent_asking import (
    consent_document,
    describe_consent,
    describe_request,
    request,
    requests,
    show_,
)
from saferoom_client.cli.named_in_consent import require_known
from saferoom_client.cli.narrow import folded
from saferoom_client.cli.options import (
    DaysOption,
    JsonOption,
    ProfileOption,
    PurposeOption,
    SubjectOption,
    digest_of,
    group,
    window,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.tables import table
from saferoom_client.consent_requests import consent_of
from saferoom_client.drafts import read_consent
from saferoom_client.files import read_filled
from saferoom_client.profile import Profile
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import later, say
from saferoom_proto.encoding import b64
from saferoom_proto.statements import Consent, Paper, Purpose
from saferoom_proto.statements.base import fresh_nonce

app = group("Grant and take back consents.")
app.command(name="request")(request)
app.command(name="requests")(requests)
app.command(name="show")(show_)

FeatureOption = Annotated[
    list[str], typer.Option(help="OWNER.FEATURE that may be used; repeat it.")
]
NoticeOption = Annotated[
    Path | None, typer.Option(help="The risk notice that was shown.", exists=True)
]
UsesOption = Annotated[int | None, typer.Option(min=1, help="How many questions at most.")]


@app.command()
def grant(
    profile: ProfileOption,
    *,
    request_digest: Annotated[
        str | None,
        typer.Option("--request", help="What a bank asked you for, by its digest."),
    ] = None,
    draft: Annotated[
        Path | None,
        typer.Option(help="A consent's draft, instead of options.", exists=True),
    ] = None,
    institution: Annotated[str, typer.Option(help="Who may ask.")] = "",
    purpose: PurposeOption = [],  # noqa: B006 - Typer copies it
    feature: FeatureOption = [],  # noqa: B006 - Typer copies it
    notice: NoticeOption = None,
    days: DaysOption = 30,
    uses: UsesOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before a request is granted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let an institution ask about you, for stated purposes and features."""
    member = Profile.load(profile)
    with Room(member) as room:
        if request_digest is not None:
            digest = digest_of(request_digest, "--request", "consent requests")
            consent = _asked(room, digest, yes=yes, quiet=as_json)
        elif draft is not None:
            consent = read_consent(draft, member)
        elif institution and purpose and feature and notice:
            if not member.member.is_subject:
                raise typer.BadParameter(later("a registrar uses: saferoom consent register"))
            consent = _consent(
                member,
                (member.member.organisation, None),
                institution=institution,
                purposes=tuple(read_purpose(text) for text in purpose),
                features=tuple(feature),
                uses=uses,
                notice=member.suite.digest(read_filled(notice)),
                days=days,
            )
            require_known(room, institution, feature)
        else:
            raise typer.BadParameter(
                later(
                    "give --request, or --institution, --purpose, --feature and --notice,"
                    " or --draft"
                )
            )
        recorded = room.grant_consent(consent)
    _show_given(as_json, consent, recorded.statement.digest, say("granted"))


@app.command()
def register(
    profile: ProfileOption,
    *,
    subject: SubjectOption,
    scan: Annotated[Path, typer.Option(help="The scan of the signed paper.", exists=True)],
    institution: Annotated[str, typer.Option(help="Who may ask.")],
    purpose: PurposeOption,
    feature: FeatureOption,
    notice: Annotated[Path, typer.Option(help="The risk notice on the paper.", exists=True)],
    days: DaysOption = 30,
    uses: UsesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a consent given on paper, as a registrar whom the owners' charters name.

    The scan itself stays with you; its digest stands in the consent.
    """
    member = Profile.load(profile)
    paper = Paper(registrar=member.member.organisation, scan=member.suite.digest(read_filled(scan)))
    consent = _consent(
        member,
        (subject, paper),
        institution=institution,
        purposes=tuple(read_purpose(text) for text in purpose),
        features=tuple(feature),
        uses=uses,
        notice=member.suite.digest(read_filled(notice)),
        days=days,
    )
    with Room(member) as room:
        require_known(room, institution, feature)
        recorded = room.grant_consent(consent)
    _show_given(
        as_json,
        consent,
        recorded.statement.digest,
        say("registered for {subject}", subject=subject),
    )


@app.command()
def revoke(
    consent: Annotated[str, typer.Argument(help="Its digest.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Take a consent back, and see which enclaves have acknowledged it."""
    with Room.open(profile) as room:
        revocation = room.revoke_consent(digest_of(consent, "CONSENT", "consent list"))
    document = {
        "consent": consent,
        "revocation": revocation.recorded.statement.digest,
        "acknowledged": {
            owner: each.time.isoformat() for owner, each in revocation.acknowledgements.items()
        },
        "waiting": list(revocation.waiting),
    }
    lines = [
        say("{owner}: its enclave heeds it since {moment}", owner=owner, moment=moment(each.time))
        for owner, each in revocation.acknowledgements.items()
    ]
    lines += [
        say("{owner}: not reached yet; it counts once it hears", owner=owner)
        for owner in revocation.waiting
    ]
    show(as_json, document, say("took back {consent}", consent=consent), *lines)


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List consents: your own, those given to your institution, those you registered on paper."""
    with Room.open(profile) as room:
        consents = room.list_consents()
        is_subject = room.profile.member.is_subject
    if is_subject:  # who reads it on a phone
        lines = [line for each in consents for line in describe_consent(each)]
        show(as_json, [consent_document(each) for each in consents], *(lines or [say("none")]))
        return
    rows = [
        (
            each.consent.subject,
            each.consent.institution,
            ", ".join(each.consent.purposes),
            say("taken back")
            if each.revoked
            else say("to {moment}", moment=moment(each.consent.valid_to)),
            each.digest,
        )
        for each in consents
    ]
    show(
        as_json,
        [consent_document(each) for each in consents],
        *table(("SUBJECT", "INSTITUTION", "PURPOSES", "VALID", "DIGEST"), rows),
    )


def _asked(room: Room, digest: str, *, yes: bool, quiet: bool) -> Consent:
    """Show what a bank asks for, with its risk notice, and write the consent to it."""
    asked = room.get_consent_request(digest)
    consent = consent_of(room.session, asked)
    if not quiet:
        for line in (*describe_request(asked), *_given_before(room, consent)):
            typer.echo(line)
    if not yes:
        typer.confirm(say("Grant this?"), abort=True)
    return consent


def _given_before(room: Room, consent: Consent) -> Iterator[str]:
    """Tell of consents to the same that are in force: another would count beside them."""
    for each in room.list_consents():
        given = each.consent
        if (
            not each.revoked
            and consent.valid_from < given.valid_to
            and _says(given) == _says(consent)
        ):
            yield from folded(say("you granted this already; both count:"), 1)
            yield from folded(each.digest, 2)


def _says(consent: Consent) -> tuple[object, ...]:
    """What a consent lets whom do, whenever it was given."""
    return (consent.institution, consent.purposes, consent.features, consent.uses, consent.notice)


def _show_given(as_json: bool, consent: Consent, digest: str, done: str) -> None:
    show(
        as_json,
        {"consent": digest, "subject": consent.subject, "institution": consent.institution},
        say(
            "{done} to {institution} until {moment}: {digest}",
            done=done,
            institution=consent.institution,
            moment=moment(consent.valid_to),
            digest=digest,
        ),
        say("to take it back: saferoom consent revoke {digest}", digest=digest),
    )


def _consent(
    member: Profile,
    giver: tuple[str, Paper | None],
    *,
    institution: str,
    purposes: tuple[Purpose, ...],
    features: tuple[str, ...],
    uses: int | None,
    notice: str,
    days: int,
) -> Consent:
    valid_from, valid_to = window(utc_now(), days)
    return Consent(
        room=member.card.origin,
        subject=giver[0],
        certificate=b64(member.signing_certificate),
        institution=institution,
        purposes=purposes,
        features=features,
        uses=uses,
        notice=notice,
        nonce=fresh_nonce(),
        valid_from=valid_from,
        valid_to=valid_to,
        paper=giver[1],
    )
