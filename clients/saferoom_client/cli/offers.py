"""Commands that give drafts to take: features for owners, checks for banks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.options import JsonOption
from saferoom_client.cli.output import show
from saferoom_client.cli.tables import table
from saferoom_client.files import PUBLIC_FILE, refuse_existing, write_file
from saferoom_client.records.annex import catalogue
from saferoom_client.records.offers import OfferedFeature, offers
from saferoom_client.tongue import later, say, titled
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import FeatureKind

FolderOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write their drafts into this folder.", file_okay=False),
]
_KINDS: Final = {
    FeatureKind.FLAG: later("yes or no"),
    FeatureKind.STATED: later("whether it is what is stated"),
}


def features(
    types: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TYPE]...", help="Of these information types, as 3.4."),
    ] = None,
    *,
    name: Annotated[
        list[str] | None, typer.Option(help="Only a feature by its name; repeat it.")
    ] = None,
    out: FolderOption = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day of the records; else today."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List features over the catalogue's types, or write drafts of them to try and add."""
    for number in types or ():
        catalogue().type(number)  # refuses what is none
    named = [offers().feature(each) for each in name or ()]
    found = [
        each for each in named or offers().features.values() if not types or each.type_id in types
    ]
    day = (as_of or datetime.now(UTC)).date()
    drafts = {each.name: each.draft(day) for each in found}
    written = _write(drafts, out)
    rows = [
        (
            each.name,
            ", ".join(each.types),
            say("level {level}", level=each.level),
            _asked(each),
            titled(each),
        )
        for each in found
    ]
    listed = table(("FEATURE", "TYPE", "LEVEL", "MAY BE ASKED", "TITLE"), rows)
    _tell(as_json, [*drafts.values()], written, listed)
    if written and not as_json:
        show(False, None, say("next: saferoom feature try {path}", path=written[0]))


def checks(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="Of these names.")
    ] = None,
    *,
    owner: Annotated[
        list[str] | None,
        typer.Option(metavar="HANDLE=OWNER", help="What the room calls an owner; repeat it."),
    ] = None,
    out: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List checks that banks ask, or write drafts of them to propose."""
    chosen = [offers().check(each) for each in names or ()] or [*offers().checks.values()]
    owners = _owners(owner or ())
    drafts = {each.name: each.draft(owners) for each in chosen}
    written = _write(drafts, out)
    rows = [
        (each.name, ", ".join(owners.get(one, one) for one in each.owners), titled(each))
        for each in chosen
    ]
    _tell(as_json, [*drafts.values()], written, table(("CHECK", "ASKS", "TITLE"), rows))
    if written and not as_json:
        show(False, None, say("next: saferoom template propose {path}", path=written[0]))


def _asked(one: OfferedFeature) -> str:
    return ", ".join(one.at) or say(_KINDS[one.kind])


def _owners(given: Sequence[str]) -> dict[str, str]:
    """Read what a room calls the owners that checks are about."""
    known = {handle for each in offers().checks.values() for handle in each.owners}
    owners: dict[str, str] = {}
    for each in given:
        handle, equals, name = each.partition("=")
        rule = ""
        if not (equals and name.isascii() and name.isidentifier() and name.islower()):
            rule = "HANDLE=OWNER, the owner in lower case as the room names it"
        elif handle not in known:
            rule = f"{handle}: no owner of these checks; they are {', '.join(sorted(known))}"
        if rule:
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--owner", rule)])
        owners[handle] = name
    return owners


def _write(drafts: Mapping[str, Mapping[str, object]], out: Path | None) -> list[Path]:
    """Write each draft into a file of its name, or none where one is there already."""
    if out is None:
        return []
    paths = [out / f"{name}.yaml" for name in drafts]
    for path in paths:
        refuse_existing(path)
    out.mkdir(parents=True, exist_ok=True)
    for path, draft in zip(paths, drafts.values(), strict=True):
        write_file(path, write_yaml(draft).encode(), PUBLIC_FILE)
    return paths


def _tell(
    as_json: bool, drafts: list[Mapping[str, object]], written: list[Path], listed: Sequence[str]
) -> None:
    """Print what was written; where nothing was, the list."""
    told = [say("wrote {path}", path=path) for path in written] or listed
    document = {"written": [str(path) for path in written]} if written else drafts
    show(as_json, document, *told)
