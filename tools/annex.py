"""Make of the catalogue of records, and of what it offers, what the package holds, and pages.

python tools/annex.py           pack them, and write docs/catalogue.md, docs/features.md and
                                docs/provider.openapi.json
python tools/annex.py --check   say what is not fresh
"""

from __future__ import annotations

import argparse
import bz2
import json
import sys
from pathlib import Path
from typing import Final

from offers_page import offers_page
from provider_page import provider_page
from ruamel.yaml import YAML

from saferoom_client.records.annex import (
    PACKED,
    Catalogue,
    Column,
    InformationType,
    Mode,
    read_catalogue,
)
from saferoom_client.records.offers import PACKED as PACKED_OFFERS
from saferoom_client.records.offers import read_offers

SOURCE: Final = PACKED.with_name("catalogue.yaml")
OFFERED: Final = ("features", "checks")
"""Parts of what is offered, each in a file beside the catalogue's."""
DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
MODES: Final = {
    Mode.PHYSICAL: "物理归集 (collected)",
    Mode.INTERFACE: "接口调用 (called)",
    Mode.BOTH: "物理归集/接口调用 (either)",
}
HEAD: Final = """# The catalogue

<!-- Written by tools/annex.py from clients/saferoom_client/records/catalogue.yaml. -->

Version {version}: {counted}, after
{document}.
Every list of the annex ends with 等 ("and so on"): it is a minimum.

`saferoom catalogue list`, `show 3.4` and `template 3.4` give the same in a terminal, and empty
files to fill in ([for data owners](owners.md)). Levels: 1 public by law, 2 not secret,
3 commercial secret, 4 identifiers and record-level detail. Flags: **P** personal information,
**S** an identifier, **K** a join key. The key of a table holds the subject's code; where the annex
forgets it, a column `uscc` comes first. Records that name an account or a certificate alone are
linked to subjects inside the enclave ([for data owners](owners.md#9-tables-that-name-an-account)).
"""


def packed(document: object) -> bytes:
    """Give a document as JSON, in few bytes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def parsed(path: Path) -> object:
    """Give what a file in YAML holds."""
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def page(catalogue: Catalogue) -> str:
    """Write the page."""
    columns = sum(len(each.fields) for each in catalogue.types)
    counted = f"{len(catalogue.categories)} categories, {len(catalogue.types)} information types"
    head = HEAD.format(
        version=catalogue.version,
        counted=f"{counted}, {columns} columns",
        document=catalogue.document,
    )
    return head + "".join(_type(each) for each in catalogue.types)


def _type(one: InformationType) -> str:
    """Write a type's section: what the annex says of it, and each of its tables."""
    due = "持续推进" if one.due == "ongoing" else one.due
    lines = [
        f"\n## {one.id} {one.zh} ({one.en})\n",
        f"{one.category.zh} · {MODES[one.mode]} · {one.unit.zh} · due {due} · level {one.level}\n",
    ]
    for table in one.tables:
        lines += [
            f"### `{table.name}` {table.zh}\n",
            "| column | 中文 | type | level | | codes |",
            "|---|---|---|---|---|---|",
            *(_row(each) for each in table.columns),
            "",
        ]
    return "\n".join(lines)


def _row(column: Column) -> str:
    flags = " ".join(sorted(column.flags & {"k", "p", "s"})).upper()
    codes = "; ".join(
        ", ".join(each.codes)
        + (f" (from {each.since})" if each.since and not each.until else "")
        + (f" ({each.since} to {each.until})" if each.until else "")
        for each in column.codes
    )
    return f"| `{column.name}` | {column.zh} | {column.type} | {column.level} | {flags} | {codes} |"


def main() -> int:
    """Write, or with `--check` only compare; the status is 1 when something is not fresh."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only, change nothing")
    arguments = parser.parse_args()
    annex = packed(parsed(SOURCE))
    offered = packed({name: parsed(SOURCE.with_name(f"{name}.yaml")) for name in OFFERED})
    catalogue = read_catalogue(annex)
    made = {PACKED: annex, PACKED_OFFERS: offered}
    pages = {
        DOCS / "catalogue.md": page(catalogue),
        DOCS / "features.md": offers_page(read_offers(offered), catalogue),
        DOCS / "provider.openapi.json": provider_page(catalogue),
    }
    if not arguments.check:
        for path, data in made.items():
            path.write_bytes(bz2.compress(data))
        for path, text in pages.items():
            path.write_text(text, "utf-8")
        return 0
    fresh = all(
        [
            *(bz2.decompress(path.read_bytes()) == data for path, data in made.items()),
            *(path.read_text("utf-8") == text for path, text in pages.items()),
        ]
    )
    if not fresh:
        print(
            "The packed catalogue or a page of it is not fresh: run `make annex`.", file=sys.stderr
        )
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main())
