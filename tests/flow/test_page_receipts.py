"""The page about receipts works as it stands."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.flow.live import LiveRoom
from tests.flow.pages import read_page, typing_in

PAGE = "receipts.md"


def test_the_page_works_as_it_stands(
    live: LiveRoom, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = read_page(PAGE)
    assert "saferoom receipt verifier" in "".join(one.text for one in page)
    with typing_in(tmp_path_factory.mktemp("receipts")) as hand:
        shutil.copytree(live.member("bank-a", "desk"), hand.folder / "bank")
        # `python` is one that has `cryptography`, as the page says.
        (hand.commands / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', "utf-8")
        (hand.commands / "python").chmod(0o755)
        for block in page:
            hand.do(block)
