"""Every link on a page leads to a file that is there, and to a heading that is on it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(page: str) -> set[str]:
    """Name a page's headings as GitHub does: lower case, hyphens for blanks, no other marks."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for heading in HEADING.findall(CODE_BLOCK.sub("", page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip())
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def astray(page: Path) -> list[str]:
    """Give the links of a page that lead nowhere."""
    found: list[str] = []
    for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        wrong = not target.exists()
        if not wrong and anchor and target.suffix == ".md":
            wrong = anchor not in anchors(target.read_text("utf-8"))
        if wrong:
            found.append(f"{page.name}: {link}")
    return found


def test_every_link_leads_somewhere(root: Path) -> None:
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    assert len(pages) > 70
    assert [link for page in pages for link in astray(page)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Who reads: the *first* `one`\n"
        "[a](page.md#who-reads-the-first-one) [b](#who-reads) [c](gone.md) `[d](e)`\n",
        "utf-8",
    )
    assert astray(page) == ["page.md: #who-reads", "page.md: gone.md"]
