"""Commands about organisations, and about who the caller is."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.tables import table
from saferoom_client.room import Room
from saferoom_client.tongue import say, titled
from saferoom_client.values import Organisation, Role
from saferoom_proto.statements import Title

app = group("Enrol and list organisations.")


@app.command()
def enrol(
    name: Annotated[str, typer.Argument(help="The organisation's handle.")],
    *,
    profile: ProfileOption,
    title_en: Annotated[str, typer.Option(help="Its name in English.")],
    title_zh: Annotated[str, typer.Option(help="Its name in Chinese.")],
    role: Annotated[list[Role], typer.Option(help="What its members may do.")],
    as_json: JsonOption = False,
) -> None:
    """Enrol an organisation (operators)."""
    organisation = Organisation(name, Title(en=title_en, zh=title_zh), frozenset(role))
    with Room.open(profile) as room:
        enrolled = room.enrol_organisation(organisation)
    show(
        as_json,
        _document(enrolled),
        say("enrolled {name}: {roles}", name=enrolled.name, roles=_roles(enrolled.roles)),
    )


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the organisations of the room."""
    with Room.open(profile) as room:
        organisations = room.list_organisations()
    rows = [
        (one.name, _roles(one.roles) if one.roles else say("revoked"), titled(one.title))
        for one in organisations
    ]
    show(
        as_json,
        [_document(one) for one in organisations],
        *table(("NAME", "ROLES", "TITLE"), rows),
    )


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The organisation's handle.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Revoke an organisation (operators); its members are refused from their next call on.

    What it signed stays signed: owners end their agreements themselves.
    """
    with Room.open(profile) as room:
        revoked = room.revoke_organisation(name)
    show(
        as_json,
        _document(revoked),
        say("revoked {name}: its members are refused from now on", name=name),
        say("next: owners that agreed with it end that: saferoom agreement end AGREEMENT"),
    )


@app.command()
def people(
    profile: ProfileOption,
    organisation: Annotated[str, typer.Option(help="Of one organisation only.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List with which certificates members have called (operators, issuers, auditors)."""
    with Room.open(profile) as room:
        certificates = room.list_certificates(organisation)
    rows = [
        (
            one.organisation,
            one.name,
            say("revoked") if one.revoked else say("until {ends:%Y-%m-%d}", ends=one.ends),
            f"{one.first_seen:%Y-%m-%d %H:%M} UTC",
            one.fingerprint,
        )
        for one in certificates
    ]
    show(
        as_json,
        [
            {
                "organisation": one.organisation,
                "name": one.name,
                "revoked": one.revoked,
                "ends": one.ends,
                "first_seen": one.first_seen,
                "certificate": one.fingerprint,
            }
            for one in certificates
        ],
        *table(("ORGANISATION", "NAME", "COUNTS", "FIRST SEEN", "CERTIFICATE"), rows),
    )


def whoami(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Ask whom the room takes you for."""
    with Room.open(profile) as room:
        caller = room.whoami()
    document = {
        "organisation": caller.organisation,
        "name": caller.name,
        "roles": sorted(caller.roles),
        "certificate": caller.fingerprint,
    }
    show(
        as_json,
        document,
        *mapping(
            {
                "organisation": caller.organisation,
                "name": caller.name,
                "roles": _roles(caller.roles),
                "certificate": caller.fingerprint,
            }
        ),
    )


def _roles(roles: frozenset[Role]) -> str:
    return ", ".join(sorted(roles)) or say("none")


def _document(organisation: Organisation) -> dict[str, object]:
    return {
        "name": organisation.name,
        "title": {"en": organisation.title.en, "zh": organisation.title.zh},
        "roles": sorted(organisation.roles),
    }
