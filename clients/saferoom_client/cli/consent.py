"""Commands about consents, of subjects, registrars and those who ask for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.consent_asking import (
    consent_document,
    describe_request,
    request,
    requests,
    show_,
)
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    PurposeOption,
    SubjectOption,
    group,
    window,
)
from saferoom_client.cli.output import moment, show, table
from saferoom_client.consent_requests import consent_of
from saferoom_client.drafts import NONCE_BYTES, read_consent
from saferoom_client.files import read_file
from saferoom_client.profile import Profile
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_proto.encoding import b64, check_digest, sha256_digest
from saferoom_proto.statements import Consent, Paper, Purpose

app = group("Grant and take back consents. 授权。")
app.command(name="request")(request)
app.command(name="requests")(requests)
app.command(name="show")(show_)

FeatureOption = Annotated[
    list[str], typer.Option(help="OWNER.FEATURE that may be used; repeat it. 特征指标。")
]
NoticeOption = Annotated[
    Path | None, typer.Option(help="The risk notice that was shown. 风险提示文件。", exists=True)
]
DaysOption = Annotated[int, typer.Option(min=1, help="Days of validity. 有效天数。")]
UsesOption = Annotated[
    int | None, typer.Option(min=1, help="How many questions at most. 最多次数。")
]


@app.command()
def grant(
    profile: ProfileOption,
    *,
    request_digest: Annotated[
        str | None,
        typer.Option("--request", help="What a bank asked you for, by its digest. 授权请求摘要。"),
    ] = None,
    draft: Annotated[
        Path | None,
        typer.Option(help="A consent's draft, instead of options. 授权草稿。", exists=True),
    ] = None,
    institution: Annotated[str, typer.Option(help="Who may ask. 被授权机构。")] = "",
    purpose: PurposeOption = [],  # noqa: B006 - Typer copies it
    feature: FeatureOption = [],  # noqa: B006 - Typer copies it
    notice: NoticeOption = None,
    days: DaysOption = 30,
    uses: UsesOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before a request is granted. 不再确认。")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let an institution ask about you, for stated purposes and features.

    授权。
    """
    member = Profile.load(profile)
    with Room(member) as room:
        if request_digest is not None:
            consent = _asked(room, check_digest(request_digest), yes=yes, quiet=as_json)
        elif draft is not None:
            consent = read_consent(draft, member)
        elif institution and purpose and feature and notice:
            if not member.member.is_subject:
                raise typer.BadParameter("a registrar uses: saferoom consent register")
            consent = _consent(
                member,
                (member.member.organisation, None),
                institution=institution,
                purposes=tuple(read_purpose(text) for text in purpose),
                features=tuple(feature),
                uses=uses,
                notice=sha256_digest(read_file(notice)),
                days=days,
            )
        else:
            raise typer.BadParameter(
                "give --request, or --institution, --purpose, --feature and --notice, or --draft"
            )
        recorded = room.grant_consent(consent)
    _show_given(as_json, consent, recorded.statement.digest, "granted")


@app.command()
def register(
    profile: ProfileOption,
    *,
    subject: SubjectOption,
    scan: Annotated[Path, typer.Option(help="The scan of the signed paper. 扫描件。", exists=True)],
    institution: Annotated[str, typer.Option(help="Who may ask. 被授权机构。")],
    purpose: PurposeOption,
    feature: FeatureOption,
    notice: Annotated[
        Path, typer.Option(help="The risk notice on the paper. 风险提示文件。", exists=True)
    ],
    days: DaysOption = 30,
    uses: UsesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a consent given on paper, as a registrar whom the owners' charters name.

    The scan itself stays with you; its digest stands in the consent. 登记纸质授权。
    """
    member = Profile.load(profile)
    paper = Paper(registrar=member.member.organisation, scan=sha256_digest(read_file(scan)))
    consent = _consent(
        member,
        (subject, paper),
        institution=institution,
        purposes=tuple(read_purpose(text) for text in purpose),
        features=tuple(feature),
        uses=uses,
        notice=sha256_digest(read_file(notice)),
        days=days,
    )
    with Room(member) as room:
        recorded = room.grant_consent(consent)
    _show_given(as_json, consent, recorded.statement.digest, f"registered for {subject}")


@app.command()
def revoke(
    consent: Annotated[str, typer.Argument(help="Its digest. 授权摘要。")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Take a consent back, and see which enclaves have acknowledged it.

    撤回授权。
    """
    with Room.open(profile) as room:
        revocation = room.revoke_consent(check_digest(consent))
    document = {
        "consent": consent,
        "revocation": revocation.recorded.statement.digest,
        "acknowledged": {
            owner: each.time.isoformat() for owner, each in revocation.acknowledgements.items()
        },
        "waiting": list(revocation.waiting),
    }
    lines = [
        f"{owner}: its enclave heeds it since {moment(each.time)}"
        for owner, each in revocation.acknowledgements.items()
    ]
    lines += [f"{owner}: not reached yet; it counts once it hears" for owner in revocation.waiting]
    show(as_json, document, f"took back {consent}", *lines)


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List consents: your own, those given to your institution, those you registered on paper.

    列出授权。
    """
    with Room.open(profile) as room:
        consents = room.list_consents()
    rows = [
        (
            each.consent.subject,
            each.consent.institution,
            ", ".join(each.consent.purposes),
            "taken back" if each.revoked else f"to {moment(each.consent.valid_to)}",
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
    if not quiet:
        for line in describe_request(asked):
            typer.echo(line)
    if not yes:
        typer.confirm("Grant this? 同意授权?", abort=True)
    return consent_of(room.session, asked)


def _show_given(as_json: bool, consent: Consent, digest: str, done: str) -> None:
    show(
        as_json,
        {"consent": digest, "subject": consent.subject, "institution": consent.institution},
        f"{done} to {consent.institution} until {moment(consent.valid_to)}: {digest}",
        f"to take it back: saferoom consent revoke {digest}",
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
        nonce=b64(os.urandom(NONCE_BYTES)),
        valid_from=valid_from,
        valid_to=valid_to,
        paper=giver[1],
    )
