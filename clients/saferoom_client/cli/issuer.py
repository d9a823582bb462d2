"""Commands of the identity issuer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    RoomCardOption,
    WhyOption,
    group,
    subject_code,
)
from saferoom_client.cli.output import mapping, show
from saferoom_client.files import read_model
from saferoom_client.issuer import (
    MEMBER_DAYS,
    Issuer,
    certificate_fingerprint,
    enrol_member,
)
from saferoom_client.profile import SELF, Member, RoomCard
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_proto.encoding import check_digest

app = group("Name people, systems and subjects. 身份签发。")

IssuerFolder = Annotated[
    Path, typer.Argument(help="The issuer's folder. 签发方目录。", file_okay=False)
]


@app.command()
def init(
    folder: IssuerFolder,
    name: Annotated[str, typer.Option(help="The issuer's handle. 签发方代号。")] = "issuer",
    as_json: JsonOption = False,
) -> None:
    """Make an identity issuer with fresh keys.

    新建身份签发方。
    """
    issuer = Issuer.create(name, utc_now())
    issuer.save(folder)
    show(
        as_json,
        issuer.card.model_dump(mode="json"),
        f"made the identity issuer {name} in {folder}",
        f"next: saferoom room admit ROOM_FOLDER {folder / 'issuer.pem'}",
    )


@app.command()
def enrol(
    folder: IssuerFolder,
    *,
    room: RoomCardOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The member folder to make. 要新建的成员目录。")
    ],
    organisation: Annotated[
        str | None, typer.Option(help="The organisation's handle. 机构代号。")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The person's or system's handle. 人员或系统代号。")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            parser=subject_code, metavar="USCC", help="An enterprise instead. 企业的信用代码。"
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of validity. 有效天数。")] = MEMBER_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Make a member's keys and certificates, in a folder to be handed to it.

    为成员签发证书。
    """
    if (subject is None) == (organisation is None or name is None):
        raise typer.BadParameter("give --organisation and --name, or --subject alone")
    member = Member(organisation=subject or organisation or "", name=name or SELF)
    profile = enrol_member(
        Issuer.load(folder), out, read_model(room, RoomCard), member, utc_now(), days=days
    )
    key = profile.signing_key.verify_key.public
    document = {
        "organisation": member.organisation,
        "name": member.name,
        "key": key,
        "folder": str(out),
    }
    show(as_json, document, *mapping({**document, "key": f"{key} (signs statements)"}))


@app.command()
def revoke(
    folder: IssuerFolder,
    certificate: Annotated[
        str, typer.Argument(help="A certificate's file or fingerprint. 证书文件或指纹。")
    ],
    profile: ProfileOption,
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """Take a certificate back; it counts from the next call on.

    吊销证书。
    """
    path = Path(certificate)
    named = certificate_fingerprint(path) if path.exists() else check_digest(certificate)
    with Room.open(profile) as room:
        origin = room.profile.card.origin
        statement = Issuer.load(folder).revoke(origin, named, why, utc_now())
        recorded = room.revoke_certificate(statement)
    show(
        as_json,
        {"certificate": named, "statement": recorded.statement.digest},
        f"revoked {named}",
    )
