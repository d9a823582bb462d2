"""Commands of subjects and registrars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    PurposeOption,
    group,
    subject_code,
    window,
)
from saferoom_client.cli.output import moment, show, table
from saferoom_client.drafts import NONCE_BYTES, read_consent
from saferoom_client.files import read_file
from saferoom_client.profile import Profile
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_proto.encoding import b64, check_digest, sha256_digest
from saferoom_proto.statements import Consent, Paper, Purpose

app = group("Grant and take back consents. 授权。")


@app.command()
def grant(
    profile: ProfileOption,
    *,
    draft: Annotated[
        Path | None,
        typer.Option(help="A consent's draft, instead of options. 授权草稿。", exists=True),
    ] = None,
    institution: Annotated[str, typer.Option(help="Who may ask. 被授权机构。")] = "",
    purpose: PurposeOption = [],  # noqa: B006 - Typer copies it
    feature: Annotated[
        list[str], typer.Option(help="OWNER.FEATURE that may be used; repeat it. 特征指标。")
    ] = [],  # noqa: B006 - Typer copies it
    notice: Annotated[
        Path | None,
        typer.Option(help="The risk notice that was shown. 风险提示文件。", exists=True),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of validity. 有效天数。")] = 30,
    uses: Annotated[
        int | None, typer.Option(min=1, help="How many questions at most. 最多次数。")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            parser=subject_code, metavar="USCC", help="Registrars: whose paper. 纸质授权的主体。"
        ),
    ] = None,
    scan: Annotated[
        Path | None, typer.Option(help="Registrars: the paper's scan. 扫描件。", exists=True)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let an institution ask about you, for stated purposes and features.

    授权。
    """
    member = Profile.load(profile)
    if draft is not None:
        consent = read_consent(draft, member)
    elif institution and purpose and feature and notice:
        consent = _consent(
            member,
            _giver(member, subject, scan),
            institution=institution,
            purposes=tuple(read_purpose(text) for text in purpose),
            features=tuple(feature),
            uses=uses,
            notice=sha256_digest(read_file(notice)),
            days=days,
        )
    else:
        raise typer.BadParameter(
            "give --institution, --purpose, --feature and --notice, or --draft"
        )
    with Room(member) as room:
        recorded = room.grant_consent(consent)
    digest = recorded.statement.digest
    show(
        as_json,
        {"consent": digest, "subject": consent.subject, "institution": consent.institution},
        f"granted to {consent.institution} until {moment(consent.valid_to)}: {digest}",
        f"to take it back: saferoom consent revoke {digest}",
    )


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
    """List consents: your own, or those given to your institution.

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
        [
            {"digest": one.digest, "revoked": one.revoked, **one.consent.model_dump(mode="json")}
            for one in consents
        ],
        *table(("SUBJECT", "INSTITUTION", "PURPOSES", "VALID", "DIGEST"), rows),
    )


def _giver(member: Profile, subject: str | None, scan: Path | None) -> tuple[str, Paper | None]:
    """Say whose consent it is, and on which paper if a registrar signs for it."""
    if member.member.is_subject:
        return member.member.organisation, None
    if subject is None or scan is None:
        raise typer.BadParameter("a registrar gives --subject and --scan of the paper")
    paper = Paper(registrar=member.member.organisation, scan=sha256_digest(read_file(scan)))
    return subject, paper


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
