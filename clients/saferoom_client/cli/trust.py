"""Commands about the keys that a member has pinned."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption
from saferoom_client.cli.output import mapping, show
from saferoom_client.profile import Profile

app = typer.Typer(
    help="Pin the charter roots of owners. 固定各数源单位的根。", no_args_is_help=True
)


@app.command()
def pin(
    owner: Annotated[str, typer.Argument(help="The data owner. 数源单位。")],
    root: Annotated[
        str, typer.Argument(help="Its charter root, which it gave you by another way. 章程根公钥。")
    ],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Pin an owner's charter root, under which its answers are verified.

    固定章程根。
    """
    pinned = Profile.load(profile).pin(owner, root)
    show(
        as_json,
        {"owner": owner, "root": pinned.trust.charter_roots[owner]},
        f"pinned the charter root of {owner}",
    )


@app.command(name="show")
def show_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show the pinned keys.

    查看已固定的公钥。
    """
    trust = Profile.load(profile).trust
    roots = {f"charter root of {owner}": root for owner, root in trust.charter_roots.items()}
    show(
        as_json,
        trust.model_dump(mode="json"),
        *mapping({"room": trust.origin, "ledger key": trust.ledger_key, **roots}),
    )
