"""What must not be in the repository: somebody's machine, a registry's host, a private key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

FORBIDDEN: Final = {
    "a path of one machine": re.compile(rb"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/"),
    "a host of a package registry": re.compile(
        rb"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|proxy\.golang\.org|crates\.io)\b"
        rb"|(?:index-url|find-links)[ =]+(?:https?|file):"
    ),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_kept_file_holds(what: str, kept_files: list[Path]) -> None:
    found = [
        f"{path}: {match[0].decode('utf-8', 'replace')}"
        for path in kept_files
        for match in FORBIDDEN[what].finditer(path.read_bytes())
    ]
    assert not found, "\n".join(found)


def test_the_lock_holds_versions_and_hashes_only(root: Path) -> None:
    lines = (root / "requirements.lock").read_text("utf-8").splitlines()
    line_form = re.compile(
        r"#.*| +# .*|[a-z0-9-]+==\S+( ; .+)? \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?"
    )
    assert [line for line in lines if not line_form.fullmatch(line)] == []
