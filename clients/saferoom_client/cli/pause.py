"""Stopping a use of an owner's data, and letting it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    WhyOption,
    digest_of,
)
from saferoom_client.cli.output import show
from saferoom_client.room import Room
from saferoom_client.tongue import say

TemplateOption = Annotated[
    str | None,
    typer.Option("--template", help="Only this template, by its digest."),
]


def pause(
    profile: ProfileOption,
    why: WhyOption,
    template: TemplateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop all use of your owner's store at once, or of one template."""
    with Room.open(profile) as room:
        digest = None if template is None else digest_of(template, "--template", "template list")
        recorded = room.pause(why, digest)
        owner = room.profile.member.organisation
    what = say("all use") if digest is None else say("the use of {digest}", digest=digest)
    document = {"owner": owner, "template": digest, "pause": recorded.statement.digest}
    show(as_json, document, say("{owner} stopped {what}", owner=owner, what=what))


def resume(
    profile: ProfileOption,
    why: WhyOption,
    template: TemplateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a paused use may go on: it does once as many approvers said so as approve."""
    with Room.open(profile) as room:
        digest = None if template is None else digest_of(template, "--template", "template list")
        recorded = room.resume(why, digest)
        owner, name = room.profile.member.organisation, room.profile.member.name
        stopped = room.stopped_uses(owner).get(digest)
        threshold = room.get_charter(owner).charter.threshold
    what = say("all use") if digest is None else say("the use of {digest}", digest=digest)
    by = threshold if stopped is None else len(stopped.resumed_by)
    document = {
        "owner": owner,
        "template": digest,
        "resume": recorded.statement.digest,
        "goes_on": stopped is None,
        "said_so": by,
        "needed": threshold,
    }
    if stopped is None:
        show(as_json, document, say("{owner} let {what} go on", owner=owner, what=what))
        return
    again = " ".join(["saferoom resume --why WHY", *(["--template", digest] if digest else [])])
    show(
        as_json,
        document,
        say(
            "{name} of {owner} would let {what} go on: {by} of the {threshold} needed",
            name=name,
            owner=owner,
            what=what,
            by=by,
            threshold=threshold,
        ),
        say("next, another approver: {again}", again=again),
    )
