"""The readme in Chinese says what the one in English says: same parts, commands and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

OTHER = {"README.md": "README.zh-CN.md", "README.zh-CN.md": "README.md"}


def read(root: Path, name: str) -> str:
    return (root / name).read_text("utf-8")


def headings(text: str) -> list[int]:
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [len(found) for found in re.findall(r"^(#+) ", outside, re.MULTILINE)]


def commands(text: str) -> list[str]:
    """Give the lines of code, without what is said beside them; pictures are in words."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    code = [block for block in blocks if "\u250c" not in block]
    return [re.sub(r"\s*#.*", "", line) for block in code for line in block.splitlines()]


def links(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]+)\)", text) if link not in OTHER]


def test_both_readmes_have_the_same_parts_commands_and_links(root: Path) -> None:
    english, chinese = (read(root, name) for name in OTHER)
    assert headings(chinese) == headings(english)
    assert commands(chinese) == commands(english)
    assert links(chinese) == links(english)
    assert chinese.count("\n| ") == english.count("\n| ")
    assert chinese.count("\n- **") == english.count("\n- **")


@pytest.mark.parametrize("name", OTHER)
def test_each_readme_leads_to_the_other_and_to_files_that_are_there(root: Path, name: str) -> None:
    text = read(root, name)
    assert f"]({OTHER[name]})" in "\n".join(text.splitlines()[:4])
    missing = [link for link in links(text) if not (root / link).exists()]
    assert missing == []


def test_what_differs_is_noticed() -> None:
    assert headings("# a\n## b\n```\n# no\n```\n") == [1, 2]
    assert commands("```sh\nmake demo  # words\n```") == ["make demo"]
    assert links("[a](x) [b](README.md)") == ["x"]
