"""Commands of the identity issuer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import (
    DaysOption,
    JsonOption,
    ProfileOption,
    RoomCardOption,
    SuiteOption,
    WhyOption,
    digest_of,
    group,
    require_suite,
    subject_code,
)
from saferoom_client.cli.output import mapping, show
from saferoom_client.files import read_model
from saferoom_client.issuer import (
    AUTHORITY,
    CERTIFICATE,
    MEMBER_DAYS,
    Issuer,
    certificate_fingerprint,
    enrol_member,
    renew_member,
)
from saferoom_client.profile import SELF, SIGNING_CERTIFICATE, Member, Profile, RoomCard
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import later, say
from saferoom_proto.suite import Suite

app = group("Name people, systems and subjects.")

IssuerFolder = Annotated[Path, typer.Argument(help="The issuer's folder.", file_okay=False)]


@app.command()
def init(
    folder: IssuerFolder,
    name: Annotated[str, typer.Option(help="The issuer's handle.")] = "issuer",
    suite: SuiteOption = Suite.INTERNATIONAL,
    as_json: JsonOption = False,
) -> None:
    """Make an identity issuer with fresh keys."""
    require_suite(suite)
    issuer = Issuer.create(name, utc_now(), suite=suite)
    issuer.save(folder)
    show(
        as_json,
        issuer.card.model_dump(mode="json"),
        say("made the identity issuer {name} in {folder}", name=name, folder=folder),
        say("next: saferoom room admit ROOM_FOLDER {issuer}", issuer=folder / CERTIFICATE),
        *_admit_authority(folder, issuer),
    )


def _admit_authority(folder: Path, issuer: Issuer) -> Iterator[str]:
    if issuer.authority is not None:
        yield say(
            "and: saferoom room admit ROOM_FOLDER {authority} --name signing",
            authority=folder / AUTHORITY,
        )


@app.command()
def enrol(
    folder: IssuerFolder,
    *,
    room: RoomCardOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The member folder to make.")],
    organisation: Annotated[str | None, typer.Option(help="The organisation's handle.")] = None,
    name: Annotated[str | None, typer.Option(help="The person's or system's handle.")] = None,
    subject: Annotated[
        str | None,
        typer.Option(parser=subject_code, metavar="USCC", help="An enterprise instead."),
    ] = None,
    days: DaysOption = MEMBER_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Make a member's keys and certificates, in a folder to be handed to it."""
    if (subject is None) == (organisation is None or name is None):
        raise typer.BadParameter(later("give --organisation and --name, or --subject alone"))
    member = Member(organisation=subject or organisation or "", name=name or SELF)
    profile = enrol_member(
        Issuer.load(folder), out, read_model(room, RoomCard), member, utc_now(), days=days
    )
    _show_member(profile, as_json)


@app.command()
def renew(
    folder: IssuerFolder,
    member: Annotated[
        Path, typer.Argument(help="The member's folder; its keys are not read.", exists=True)
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The member folder to make.")],
    days: DaysOption = MEMBER_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Make a member fresh keys and certificates, in a folder with all that it pinned before."""
    profile = renew_member(Issuer.load(folder), member, out, utc_now(), days=days)
    step = say(
        "once nothing needs it: saferoom issuer revoke {folder} {former}",
        folder=folder,
        former=member / SIGNING_CERTIFICATE,
    )
    _show_member(profile, as_json, step)


def _show_member(profile: Profile, as_json: bool, *steps: str) -> None:
    """Show whom a folder was made for, and the key that signs for it."""
    member, key = profile.member, profile.signing_key.verify_key.public
    document = {
        "organisation": member.organisation,
        "name": member.name,
        "key": key,
        "folder": str(profile.folder),
    }
    show(
        as_json,
        document,
        *mapping(
            {
                "organisation": member.organisation,
                "name": member.name,
                "key": say("{key} (signs statements)", key=key),
                "folder": profile.folder,
            }
        ),
        *steps,
    )


@app.command()
def revoke(
    folder: IssuerFolder,
    certificate: Annotated[str, typer.Argument(help="A certificate's file or fingerprint.")],
    profile: ProfileOption,
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """Take a certificate back; it counts from the next call on."""
    path = Path(certificate)
    named = (
        certificate_fingerprint(path)
        if path.exists()
        else digest_of(certificate, "CERTIFICATE", "org people")
    )
    with Room.open(profile) as room:
        origin = room.profile.card.origin
        statement = Issuer.load(folder).revoke(origin, named, why, utc_now())
        recorded = room.revoke_certificate(statement)
    show(
        as_json,
        {"certificate": named, "statement": recorded.statement.digest},
        say("revoked {named}", named=named),
    )
