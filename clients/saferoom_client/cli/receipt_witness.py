"""Having witnesses vouch for a receipt, and showing offline which of them do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import InputFile, JsonOption, ProfileOption
from saferoom_client.cli.output import Shown, moment
from saferoom_client.cli.receipt_kinds import naming, read_receipt
from saferoom_client.files import PUBLIC_FILE, read_file, write_file
from saferoom_client.profile import pinned_witnesses
from saferoom_client.receipt_kinds import ReceiptFile
from saferoom_client.receipt_witness import Vouching, vouching
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_proto.trust import Trust


def witness(
    file: InputFile,
    profile: ProfileOption,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write; else the same one.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove a receipt anew, under a head that the pinned witnesses cosigned."""
    with naming(file, profile):
        receipt = read_receipt(file, read_file(file))

    def waiting() -> None:
        typer.echo(say("waiting for the witnesses to cosign what it stands under"), err=True)

    with Room.open(profile) as room:
        renewed = room.witness_receipt(receipt, waiting=waiting)
        trust = room.profile.trust
    written = out or file
    write_file(written, renewed.to_json(), PUBLIC_FILE)
    vouched = shown_vouching(renewed, trust, profile)
    shown = Shown({"file": str(written)}, (say("wrote {out}", out=written),))
    (shown + vouched).print(as_json=as_json)


def shown_vouching(receipt: ReceiptFile, trust: Trust, profile: Path | None) -> Shown:
    """Tell which of the witnesses that are pinned in a member folder vouch for a receipt."""
    policy = None if profile is None else pinned_witnesses(profile)
    if policy is None:
        return Shown({}, ())
    told = vouching(receipt, trust, policy)
    document: dict[str, object] = {
        "witnesses": [
            {
                "log_size": each.size,
                "enough": each.enough,
                "cosigned": {one.witness: one.time for one in each.by},
            }
            for each in told
        ]
    }
    return Shown(document, tuple(line for each in told for line in _lines(each)))


def _lines(told: Vouching) -> list[str]:
    lines = [
        say(
            "  {witness} cosigned the log of {size}, {moment}",
            witness=each.witness,
            size=told.size,
            moment=moment(datetime.fromtimestamp(each.time, UTC)),
        )
        for each in told.by
    ]
    if not told.enough:
        lines.append(
            say("  too few witnesses vouch for it: saferoom receipt witness gets it their word")
        )
    return lines
