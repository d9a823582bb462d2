"""Commands about agreements between an owner and an institution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.agreements import add_signature
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    NewFile,
    ProfileOption,
    PurposeOption,
    WhyOption,
    group,
    pairs,
    window,
)
from saferoom_client.cli.output import moment, show, table
from saferoom_client.drafts import read_agreement, write_draft
from saferoom_client.files import PUBLIC_FILE, bad_file, read_file, refuse_existing, write_file
from saferoom_client.profile import Profile, read_signer
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, check_digest
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import Agreement, load, seal_statement
from saferoom_proto.statements.template import InstitutionKey

app = group("Agree on the use of data. 数据共享协议。")


@app.command()
def draft(
    owner: Annotated[str, typer.Option(help="The data owner. 数源单位。")],
    *,
    institution: Annotated[str, typer.Option(help="The institution. 使用机构。")],
    key: Annotated[
        list[str],
        typer.Option(help="NAME=SIGNING.PEM of who may sign its questions. 可签名者的证书。"),
    ],
    purpose: PurposeOption,
    profile: ProfileOption,
    out: NewFile,
    group: Annotated[
        str, typer.Option(help="Whom it shares what it learns with. 共享所知的机构组。")
    ] = "",
    days: Annotated[int, typer.Option(min=1, help="Days of validity. 有效天数。")] = 365,
    replaces: Annotated[
        str | None, typer.Option(help="Digest of the agreement that it ends. 所替代的协议。")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an agreement's draft, to be read and changed before both sides sign it.

    起草协议。
    """
    refuse_existing(out)
    valid_from, valid_to = window(utc_now(), days)
    agreement = Agreement(
        room=Profile.load(profile).card.origin,
        owner=owner,
        institution=institution,
        group=group or institution,
        keys=tuple(
            InstitutionKey(name=name, certificate=b64(read_signer(Path(path)).der))
            for name, path in pairs(key, "NAME=SIGNING.PEM").items()
        ),
        replaces=replaces,
        purposes=tuple(read_purpose(text) for text in purpose),
        valid_from=valid_from,
        valid_to=valid_to,
    )
    write_file(out, write_draft(agreement).encode(), PUBLIC_FILE)
    show(
        as_json,
        {"file": str(out)},
        f"wrote {out}; read it, then: saferoom agreement sign {out} "
        f"--out {out.with_suffix('.json')}",
    )


@app.command()
def sign(
    file: InputFile, profile: ProfileOption, out: NewFile, as_json: JsonOption = False
) -> None:
    """Sign a draft, or add your signature to an agreement that others signed.

    签署协议。
    """
    member = Profile.load(profile)
    if file.suffix in {".yaml", ".yml"}:
        agreement = read_agreement(file, member.card.origin)
        envelope = seal_statement(agreement, member.signing_key)
    else:
        envelope = add_signature(_read(file), member.signing_key)
    write_file(out, envelope.to_json() + b"\n", PUBLIC_FILE)
    count = len(envelope.signatures)
    show(
        as_json,
        {"agreement": envelope.digest, "signatures": count, "file": str(out)},
        f"signed {envelope.digest}: {count} so far, in {out}",
        f"next, if others must sign: saferoom agreement sign {out} --out NEXT.json",
        f"next, if all have signed: saferoom agreement put {out}",
    )


@app.command()
def put(file: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Hand in an agreement that the owner's approvers and the institution signed.

    提交协议。
    """
    with Room.open(profile) as room:
        recorded = room.put_agreement(_read(file))
    agreement = load(recorded.statement, Agreement)
    digest = recorded.statement.digest
    show(
        as_json,
        {"agreement": digest, "owner": agreement.owner, "institution": agreement.institution},
        f"recorded the agreement of {agreement.owner} and {agreement.institution}: {digest}",
    )


@app.command()
def end(
    agreement: Annotated[str, typer.Argument(help="Its digest. 协议摘要。")],
    profile: ProfileOption,
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """End an agreement, as one of the owner's approvers.

    终止协议。
    """
    with Room.open(profile) as room:
        recorded = room.end_agreement(check_digest(agreement), why)
    document = {"agreement": agreement, "end": recorded.statement.digest}
    show(as_json, document, f"ended {agreement}")


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List your organisation's agreements.

    列出协议。
    """
    with Room.open(profile) as room:
        agreements = room.list_agreements()
    rows = [
        (
            each.agreement.owner,
            each.agreement.institution,
            ", ".join(each.agreement.purposes),
            moment(each.agreement.valid_to),
            each.digest,
        )
        for each in agreements
    ]
    show(
        as_json,
        [{"digest": one.digest, **one.agreement.model_dump(mode="json")} for one in agreements],
        *table(("OWNER", "INSTITUTION", "PURPOSES", "VALID TO", "DIGEST"), rows),
    )


def _read(path: Path) -> Envelope:
    try:
        return Envelope.from_json(read_file(path))
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error
