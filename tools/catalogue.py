"""Keep the Chinese words of the command line in step with the English ones in the code.

    python tools/catalogue.py           list the messages anew, and compile the catalogue
    python tools/catalogue.py --check   say what is missing, stale or not compiled

A new message stands in the catalogue without its translation until somebody writes one; one that
nobody says any more goes.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Final

import typer
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from saferoom_client.advice import ADVICE, NOTHING_KNOWN
from saferoom_client.cli import COMMANDS, app, commands_in, load_command
from saferoom_client.tongue import CATALOGUES, DOMAIN, TYPERS_DOMAIN, Language
from saferoom_proto.reasons import CATALOGUE as REASONS

CLIENT: Final = Path(__file__).resolve().parent.parent / "clients" / "saferoom_client"
PO: Final = CATALOGUES / Language.ZH.catalogue / "LC_MESSAGES" / f"{DOMAIN}.po"
MO: Final = PO.with_suffix(".mo")
"""Packed: what is installed is to stay small (docs/adr/0009)."""
TYPERS_MO: Final = MO.with_name(f"{TYPERS_DOMAIN}.mo")
WIDTH: Final = 120
AUTHORS: Final = "The Saferoom developers"
BEGUN: Final = datetime(2026, 11, 29, tzinfo=UTC)
"""One date for good, so that the same words make the same bytes."""

TYPERS: Final = (
    *("Arguments", "Options", "Commands", "Error", "Aborted.", "Missing command."),
    *("[OPTIONS]", "COMMAND [ARGS]..."),
    *("[default: {}]", "[env var: {}]", "[required]", "No such command {name!r}."),
    "Show this message and exit.",
    "Try [blue]'{command_path} {help_option}'[/] for help.",
)
"""Typer's own words (typer/rich_utils.py and core.py), which it looks up in our domain."""

_CHINESE: Final = re.compile("[\u4e00-\u9fff]")
_SAYING: Final = frozenset({"say", "later", "progress_of"})


def messages() -> set[str]:
    """List every message that the command line says."""
    reasons = (text for words in REASONS.values() for text in (words.what, words.next_step))
    steps = (each.step for each in (*ADVICE.values(), NOTHING_KNOWN))
    return {*_literals(), *_helps(), *reasons, *steps, *TYPERS}


def _literals() -> Iterator[str]:
    """List the messages that stand as literals in the client's modules."""
    own_words = CLIENT / "sheet"  # a page in the language that its reader chooses
    for path in sorted(set(CLIENT.rglob("*.py")) - set(own_words.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                yield from (text for text in _said(node.func.id, node.args[0]) if text)


def _said(function: str, argument: ast.expr) -> Iterator[str]:
    """Give what a call says: a message, a table's headings, or the names of a mapping."""
    if function in _SAYING:
        yield from _strings(argument)
    elif function == "table" and isinstance(argument, ast.Tuple):
        yield from (text for heading in argument.elts for text in _strings(heading))
    elif function == "mapping" and isinstance(argument, ast.Dict):
        yield from (text for name in argument.keys if name for text in _strings(name))


def _strings(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _helps() -> Iterator[str]:
    """List what the commands say of themselves and of what they take."""
    yield from (entry.about for entry in COMMANDS.values())
    for command in (typer.main.get_command(app), *map(load_command, COMMANDS)):
        for each in commands_in(command):
            yield from (shown.help for shown in (each, *each.params) if shown.help)


def read() -> Catalog:
    """Read the catalogue."""
    with PO.open("rb") as file:
        return read_po(file, locale=Language.ZH.catalogue, domain=DOMAIN)


def renewed(kept: Catalog, said: set[str]) -> Catalog:
    """Make the catalogue of exactly these messages, with the translations there were."""
    made = Catalog(
        locale=Language.ZH.catalogue,
        domain=DOMAIN,
        project="saferoom",
        version="1",
        last_translator=AUTHORS,
        language_team=AUTHORS,
        msgid_bugs_address="-",
        creation_date=BEGUN,
        revision_date=BEGUN,
        header_comment="# What the command line says, in Chinese. `make words` keeps it in step.",
        fuzzy=False,
    )
    for message in sorted(said):
        there = kept.get(message)
        made.add(message, "" if there is None else there.string)
    return made


def faults(kept: Catalog, said: set[str]) -> Iterator[str]:
    """Say what is wrong with the catalogue."""
    for message in sorted(said):
        there = kept.get(message)
        if _CHINESE.search(message):
            yield f"Chinese stands in the code: {message!r}"
        elif there is None or not there.string:
            yield f"not translated: {message!r}"
        elif there.fuzzy:
            yield f"fuzzy: {message!r}"
        elif _places(message) != _places(str(there.string)):
            yield f"other places than in English: {message!r}"
    ids = {str(each.id) for each in kept if each.id}
    yield from (f"said no more: {message!r}" for message in sorted(ids - said))


def _places(message: str) -> set[tuple[str, str]]:
    return {
        (name, spec or "") for _, name, spec, _ in Formatter().parse(message) if name is not None
    }


def compiled(catalogue: Catalog) -> bytes:
    """Compile a catalogue."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def typers(catalogue: Catalog) -> bytes:
    """Compile Typer's words alone, for the gettext that it asks."""
    own = renewed(catalogue, set(TYPERS))
    return compiled(own)


def is_compiled(catalogue: Catalog) -> bool:
    """Tell whether the compiled catalogues hold just these words."""
    try:
        packed = gzip.decompress(MO.read_bytes())
        return (packed, TYPERS_MO.read_bytes()) == (compiled(catalogue), typers(catalogue))
    except OSError:
        return False


def written(catalogue: Catalog) -> bytes:
    """Write a catalogue's source."""
    file = BytesIO()
    write_po(file, catalogue, width=WIDTH, no_location=True, omit_header=False)
    return file.getvalue()


def main() -> int:
    """Renew the catalogue, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args().check
    kept, said = read(), messages()
    found = list(faults(kept, said))
    if check:
        if not is_compiled(kept):
            found.append(f"the compiled catalogues are not those of {PO.name}")
    else:
        made = renewed(kept, said)
        PO.write_bytes(written(made))
        if not is_compiled(made):  # packed by another zlib they differ, and say the same
            MO.write_bytes(gzip.compress(compiled(made), mtime=0))
            TYPERS_MO.write_bytes(typers(made))
        found = list(faults(made, said))
    for fault in found:
        print(fault)
    if found and check:
        print("run make words, and write what is missing into", PO.name)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
