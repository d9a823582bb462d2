"""Commands about the keys that a member has pinned."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.charter_roots import show_followed
from saferoom_client.cli.options import JsonOption, ProfileOption, public_key
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.witness_keys import (
    MAX_AGE_SECONDS,
    AgeOption,
    ThresholdOption,
    read_policy,
)
from saferoom_client.profile import Profile
from saferoom_client.room import Room
from saferoom_client.tongue import later, say

app = typer.Typer(help="Pin the charter roots of owners, and witnesses.", no_args_is_help=True)


@app.command()
def pin(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    root: Annotated[
        str,
        typer.Argument(
            parser=public_key,
            metavar="KEY",
            help="Its charter root, which it gave you by another way.",
        ),
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


@app.command()
def follow(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Go over to an owner's new charter root, where the one that you pinned signed that."""
    with Room.open(profile) as room:
        followed = room.follow_root(owner)
    show_followed(followed, as_json=as_json)


@app.command()
def witness(
    profile: ProfileOption,
    key: Annotated[
        list[str] | None,
        typer.Argument(
            help="Verifier keys, or files of them (witness.pub); all that you rely on.",
            show_default=False,
        ),
    ] = None,
    *,
    threshold: ThresholdOption = None,
    max_age: AgeOption = MAX_AGE_SECONDS,
    nobody: Annotated[bool, typer.Option("--nobody", help="Rely on no witness any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rely on witnesses: the room's log counts only as they cosigned it.

    What you give takes the place of the witnesses before.
    """
    member = Profile.load(profile)
    if nobody != (not key):
        raise typer.BadParameter(later("give the witnesses' keys, or --nobody"))
    policy = read_policy(key or (), threshold, max_age)
    member.rely_on(policy)
    if policy is None:
        show(as_json, {"witnesses": None}, say("no witness is relied on any more"))
        return
    show(
        as_json,
        {"witnesses": policy.model_dump(mode="json")},
        say(
            "the log counts if {threshold} of {count} witnesses cosigned it in the last"
            " {seconds} seconds",
            threshold=policy.threshold,
            count=len(policy.witnesses),
            seconds=policy.max_age_seconds,
        ),
    )


@app.command(name="show")
def show_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show the pinned keys."""
    member = Profile.load(profile)
    trust, policy = member.trust, member.witness_policy()
    roots = {
        say("charter root of {owner}", owner=owner): root
        for owner, root in trust.charter_roots.items()
    }
    document: dict[str, object] = trust.model_dump(mode="json")
    witnesses: list[str] = []
    if policy is not None:
        document["witnesses"] = policy.model_dump(mode="json")
        witnesses.append(
            say(
                "{threshold} of these witnesses, in the last {seconds} seconds:",
                threshold=policy.threshold,
                seconds=policy.max_age_seconds,
            )
        )
        witnesses += [f"  {key.name}  {key.algorithm}  {key.key_id.hex()}" for key in policy.keys]
    show(
        as_json,
        document,
        *mapping({"room": trust.origin, "ledger key": trust.ledger_key, **roots}),
        *witnesses,
    )
