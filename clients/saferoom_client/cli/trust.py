"""Commands about the keys that a member has pinned."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption
from saferoom_client.cli.output import mapping, show
from saferoom_client.profile import Profile
from saferoom_client.tongue import say

app = typer.Typer(help="Pin the charter roots of owners.", no_args_is_help=True)


@app.command()
def pin(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    root: Annotated[
        str, typer.Argument(help="Its charter root, which it gave you by another way.")
    ],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Pin an owner's charter root, under which its answers are verified."""
    pinned = Profile.load(profile).pin(owner, root)
    show(
        as_json,
        {"owner": owner, "root": pinned.trust.charter_roots[owner]},
        say("pinned the charter root of {owner}", owner=owner),
    )


@app.command(name="show")
def show_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show the pinned keys."""
    trust = Profile.load(profile).trust
    roots = {
        say("charter root of {owner}", owner=owner): root
        for owner, root in trust.charter_roots.items()
    }
    show(
        as_json,
        trust.model_dump(mode="json"),
        *mapping({"room": trust.origin, "ledger key": trust.ledger_key, **roots}),
    )
