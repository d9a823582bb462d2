"""Commands about templates: proposing, judging, approving."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.judging import judge, judged_document, tell
from saferoom_client.cli.lacking_words import lacking_document, say_lacking
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    ProfileOption,
    WhyOption,
    digest_of,
    group,
)
from saferoom_client.cli.output import show
from saferoom_client.cli.plainly import LISTED_HEADINGS, listed_document, listed_row
from saferoom_client.cli.tables import table
from saferoom_client.drafts import read_template
from saferoom_client.room import Room
from saferoom_client.templates import missing_approvals
from saferoom_client.tongue import say

app = group("Propose, judge and approve templates.")

TemplateName = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")]
TemplateDigest = Annotated[
    str, typer.Argument(metavar="DIGEST", help="Its digest: these exact bytes.")
]


@app.command()
def propose(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Sign a template's draft and propose it to the owners it touches."""
    with Room.open(profile) as room:
        template = read_template(draft, room.profile)
        proposal = room.propose_template(template)
    digest = proposal.recorded.statement.digest
    document = {
        "name": template.name,
        "template": digest,
        "certificate": proposal.certificate.digest,
        "owners": [part.owner for part in proposal.certificate.parts],
    }
    owners = ", ".join(part.owner for part in proposal.certificate.parts)
    show(
        as_json,
        document,
        say("proposed {name}: {digest}", name=template.name, digest=digest),
        say(
            "next, at {owners}: saferoom template show {digest},"
            " and then saferoom template approve",
            owners=owners,
            digest=digest,
        ),
    )


@app.command(name="show")
def show_(template: TemplateName, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show in plain words who asks for what, how much can leave at most, and what changed."""
    with Room.open(profile) as room, saying_next(Asked(profile, template)):
        judged = judge(room, template)
    show(as_json, judged_document(judged), *tell(judged))


@app.command()
def approve(
    template: TemplateDigest,
    profile: ProfileOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve without being asked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Approve a template, as one of your owner's approvers."""
    digest = digest_of(template, "DIGEST", "template list")
    with Room.open(profile) as room, saying_next(Asked(profile, digest)):
        judged = judge(room, digest)
        view = judged.view
        if not yes:
            for line in tell(judged):
                typer.echo(line, err=as_json)
            typer.confirm(say("Approve exactly this?"), abort=True, err=as_json)
        recorded = room.approve(view)
        owner = room.profile.member.organisation
        name = room.profile.member.name
    missing = missing_approvals(view, owner, name)
    document = {
        "template": digest,
        "certificate": view.certificate.digest,
        "owner": owner,
        "approver": name,
        "approval": recorded.statement.digest,
        "missing": lacking_document(missing),
    }
    show(
        as_json,
        document,
        say(
            "{name} of {owner} approved {template}: {digest}",
            name=name,
            owner=owner,
            template=view.template.name,
            digest=digest,
        ),
        say("it still needs {missing}", missing=say_lacking(missing))
        if missing
        else say("it has all approvals that it needs"),
    )


@app.command()
def refuse(
    template: TemplateDigest, profile: ProfileOption, why: WhyOption, as_json: JsonOption = False
) -> None:
    """Tell a template's proposer that your owner will not approve it, and why."""
    digest = digest_of(template, "DIGEST", "template list")
    with Room.open(profile) as room:
        recorded = room.refuse(digest, why)
        owner, name = room.profile.member.organisation, room.profile.member.name
    document = {"template": digest, "owner": owner, "refusal": recorded.statement.digest}
    show(
        as_json,
        document,
        say("{name} of {owner} refused {digest}", name=name, owner=owner, digest=digest),
    )


@app.command()
def withdraw(
    template: TemplateDigest, profile: ProfileOption, why: WhyOption, as_json: JsonOption = False
) -> None:
    """Take your owner's approval of a template back, at once."""
    digest = digest_of(template, "DIGEST", "template list")
    with Room.open(profile) as room:
        recorded = room.withdraw(digest, why)
    document = {"template": digest, "withdrawal": recorded.statement.digest}
    show(as_json, document, say("withdrew the approval of {digest}", digest=digest))


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the templates: who has approved each, its highest price, whether it needs consent."""
    with Room.open(profile) as room:
        listed = room.survey_templates()
    show(
        as_json,
        [listed_document(each) for each in listed],
        *table(LISTED_HEADINGS, [listed_row(each) for each in listed]),
        *(f"{each.template.name}: {each.problem}" for each in listed if each.problem),
    )
