"""Commands about agreements between an owner and an institution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.agreements import add_signature
from saferoom_client.cli.lacking_words import lacking_document, say_lacking
from saferoom_client.cli.options import (
    DaysOption,
    InputFile,
    JsonOption,
    NewFile,
    ProfileOption,
    PurposeOption,
    WhyOption,
    digest_of,
    group,
    pairs,
    window,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.tables import table
from saferoom_client.files import PUBLIC_FILE, bad_file, read_file, refuse_existing, write_file
from saferoom_client.profile import Profile, read_signer
from saferoom_client.question import read_purpose
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import later, say
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Agreement, load, seal_statement
from saferoom_proto.statements.template import InstitutionKey

app = group("Agree on the use of data.")


@app.command()
def propose(
    owner: Annotated[str, typer.Option(help="The data owner.")],
    *,
    institution: Annotated[str, typer.Option(help="The institution.")],
    key: Annotated[
        list[str],
        typer.Option(help="NAME=SIGNING.PEM of who may sign its questions."),
    ],
    purpose: PurposeOption,
    profile: ProfileOption,
    out: NewFile,
    group: Annotated[str, typer.Option(help="Whom it shares what it learns with.")] = "",
    days: DaysOption = 365,
    replaces: Annotated[
        str | None, typer.Option(help="Digest of the agreement that it ends.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an agreement and sign it first, for the other side to read and sign."""
    refuse_existing(out)
    valid_from, valid_to = window(utc_now(), days)
    member = Profile.load(profile)
    agreement = Agreement(
        room=member.card.origin,
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
    envelope = seal_statement(agreement, member.signing_key)
    write_file(out, envelope.to_json() + b"\n", PUBLIC_FILE)
    show(
        as_json,
        {"file": str(out), "agreement": envelope.digest},
        *_plainly(agreement),
        say("next, at the other side: saferoom agreement sign {out} --out SIGNED.json", out=out),
    )


@app.command()
def sign(
    file: InputFile,
    profile: ProfileOption,
    out: NewFile,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Sign without being asked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign an agreement that was proposed; the last signature that it needs hands it in."""
    refuse_existing(out)
    proposed = _read(file)
    if not yes:
        for line in _plainly(load(proposed, Agreement)):
            typer.echo(line, err=as_json)
        typer.confirm(say("Sign exactly this?"), abort=True, err=as_json)
    with Room.open(profile) as room:
        _require_alone(room, load(proposed, Agreement))
        envelope = add_signature(proposed, room.profile.signing_key)
        missing = room.missing_signatures(envelope)
        recorded = None if missing else room.put_agreement(envelope)
    write_file(out, envelope.to_json() + b"\n", PUBLIC_FILE)
    agreement = load(envelope, Agreement)
    document = {
        "agreement": envelope.digest,
        "signatures": len(envelope.signatures),
        "missing": lacking_document(missing),
        "file": str(out),
        "recorded": recorded is not None,
    }
    if recorded is not None:
        show(
            as_json,
            document,
            say(
                "recorded the agreement of {owner} and {institution}: {digest}",
                owner=agreement.owner,
                institution=agreement.institution,
                digest=envelope.digest,
            ),
        )
        return
    show(
        as_json,
        document,
        say(
            "signed {digest}, in {out}; it still needs {missing}",
            digest=envelope.digest,
            out=out,
            missing=say_lacking(missing),
        ),
        say("next, there: saferoom agreement sign {out} --out SIGNED.json", out=out),
    )


@app.command(name="show")
def show_(
    agreement: Annotated[str, typer.Argument(help="A file of it, or its digest.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show an agreement in plain words: who may ask, for what, till when."""
    path = Path(agreement)
    if path.exists():
        envelope = _read(path)
        opened = load(envelope, Agreement)
        show(as_json, {"digest": envelope.digest, **opened.model_dump(mode="json")},
             *_plainly(opened), say("  digest  {digest}", digest=envelope.digest))  # fmt: skip
        return
    digest = digest_of(agreement, "AGREEMENT", "agreement list")
    with Room.open(profile) as room:
        found = [each for each in room.list_agreements() if each.digest == digest]
    if not found:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, digest)
    lines = [*_plainly(found[0].agreement), say("  digest  {digest}", digest=digest)]
    if found[0].ended:
        lines.append(say("  It was ended, or another took its place."))
    document = {"digest": digest, **found[0].agreement.model_dump(mode="json")}
    show(as_json, document | {"ended": found[0].ended}, *lines)


def _require_alone(room: Room, agreement: Agreement) -> None:
    """Refuse one beside another that is in force: the owner's enclave would not heed it."""
    for each in room.list_agreements():
        other = each.agreement
        sides = (other.owner, other.institution) == (agreement.owner, agreement.institution)
        meet = other.valid_from < agreement.valid_to and agreement.valid_from < other.valid_to
        if sides and meet and not each.ended and each.digest != agreement.replaces:
            rule = f"{each.digest} is in force beside it: the enclave would heed that one alone"
            refusal = SafeRoomError(Reason.CONFLICT, rule, [FieldFault("replaces", rule)])
            refusal.add_note(later("Have it proposed anew, with --replaces and this digest; or:"))
            refusal.add_note(f"saferoom agreement end {each.digest} --why WHY")
            raise refusal


@app.command()
def end(
    agreement: Annotated[str, typer.Argument(help="Its digest.")],
    profile: ProfileOption,
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """End an agreement, as one of the owner's approvers."""
    with Room.open(profile) as room:
        recorded = room.end_agreement(digest_of(agreement, "AGREEMENT", "agreement list"), why)
    document = {"agreement": agreement, "end": recorded.statement.digest}
    show(as_json, document, say("ended {agreement}", agreement=agreement))


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List your organisation's agreements."""
    with Room.open(profile) as room:
        agreements = room.list_agreements()
    rows = [
        (
            each.agreement.owner,
            each.agreement.institution,
            ", ".join(each.agreement.purposes),
            say("ended") if each.ended else moment(each.agreement.valid_to),
            each.digest,
        )
        for each in agreements
    ]
    show(
        as_json,
        [
            {"digest": one.digest, "ended": one.ended, **one.agreement.model_dump(mode="json")}
            for one in agreements
        ],
        *table(("OWNER", "INSTITUTION", "PURPOSES", "VALID TO", "DIGEST"), rows),
    )


def _plainly(agreement: Agreement) -> Iterator[str]:
    names = ", ".join(each.name for each in agreement.keys)
    yield say(
        "{institution} may ask the enclave of {owner}:",
        institution=agreement.institution,
        owner=agreement.owner,
    )
    yield say("  for     {purposes}", purposes=", ".join(agreement.purposes))
    yield say("  from    {moment}", moment=moment(agreement.valid_from))
    yield say("  to      {moment}", moment=moment(agreement.valid_to))
    yield say(
        "  signed  by {names} of {institution}: whose questions count",
        names=names,
        institution=agreement.institution,
    )
    if agreement.group == agreement.institution:
        yield say("  shares  what it learns with nobody: it has a budget of its own")
    else:
        yield say(
            "  shares  what it learns within {group}: they have one budget together",
            group=agreement.group,
        )
    if agreement.replaces is not None:
        yield say("  ends    {replaces}", replaces=agreement.replaces)
    yield say("  It permits no question by itself: that takes approved templates, and consent.")


def _read(path: Path) -> Envelope:
    try:
        return Envelope.from_json(read_file(path))
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error
