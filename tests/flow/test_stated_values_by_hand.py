"""An owner offers a stated value, a bank states some, the subject sees how many: typed as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from saferoom_proto.statements import ColumnType, Schema, Table
from tests.attacks.smallroom import small_room
from tests.flow.live import LiveRoom
from tests.flow.offers import APPROVERS, ORIGIN, POOR, STEADY, column, title

PAGE = Path(__file__).resolve().parents[2] / "docs" / "disclosure.md"
TEMPLATE = """\
kind: Check
name: known-by-phone
title: {en: Known by phone, zh: 电话相符}
purposes: [pre-loan]
params: {number: {feature: tax.phone}}
check: tax.phone = :number
"""
BLIND: Final = TEMPLATE.replace("known-by-phone", "phone-unseen") + "returns: blind\n"


def typed(profile: Path, *words: str) -> str:
    """Type a command; gives what it prints."""
    run = subprocess.run(
        [sys.executable, "-m", "saferoom_client", *words, "-p", str(profile)],
        env={**os.environ, "COLUMNS": "140", "SAFEROOM_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr


def match_blindly(live: LiveRoom, folder: Path) -> None:
    """Another bank matches the number without telling it, and shows the receipt."""
    owner, bank = live.member("tax", APPROVERS[0]), live.member("bank-b", "desk")
    (folder / "blind.yaml").write_text(BLIND, "utf-8")
    typed(bank, "template", "propose", str(folder / "blind.yaml"))
    shown = typed(owner, "template", "show", "phone-unseen")
    assert "without being told it" in shown
    template = json.loads(typed(owner, "template", "show", "phone-unseen", "--json"))
    live.approve(template["template"])
    live.agree("tax", "bank-b")
    live.consent(STEADY, "bank-b", features=("tax.phone",))
    asked = ("phone-unseen", "--subject", STEADY, "--purpose", "pre-loan", "--param")
    receipt = folder / "blind.json"
    told = typed(bank, "check", *asked, "number=0571 88881234", "--receipt", str(receipt))
    assert "ask it with --blind" in told
    openly = ("known-by-phone", *asked[1:], "number=1", "--blind")
    assert "would have your value sent in clear" in typed(bank, "check", *openly)
    asked = ("phone-unseen", "--blind", *asked[1:])
    told = typed(bank, "check", *asked, "number=0571 88881234", "--receipt", str(receipt))
    assert told.startswith("yes"), told
    assert "1.58 bits" in told
    assert typed(bank, "check", *asked, "number=1").startswith("no")
    assert "057188881234" not in receipt.read_text("utf-8")
    verified = typed(bank, "receipt", "verify", str(receipt))
    assert "the asker chose what was tested" in verified
    kept = str(folder / "kept.json")
    assert typed(bank, "check", *asked, "number=1", "--keep", kept).startswith("no")
    assert typed(bank, "check", "--again", kept).startswith("no")


@pytest.mark.soak
@pytest.mark.timeout(900)  # a process for each command
def test_from_the_pages_draft_to_the_subjects_own_view(tmp_path: Path) -> None:
    columns = (column("uscc", ColumnType.TEXT, 4), column("phone", ColumnType.TEXT, 4))
    contacts = Table(name="contacts", title=title("contacts"), key="uscc", columns=columns)
    files = {"phone.yaml": PAGE.read_text("utf-8"), "check.yaml": TEMPLATE}
    _, _, rest = files["phone.yaml"].partition("File `phone.yaml`:\n\n```yaml\n")
    files["phone.yaml"] = rest.partition("```")[0]
    files["contacts.csv"] = f"uscc,phone\n{STEADY},0571-8888 1234\n{POOR},138\n"
    files["list.csv"] = f"subject,number\n{STEADY},1\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    with small_room(tmp_path / "room") as live:
        owner, bank = live.member("tax", APPROVERS[0]), live.member("bank-a", "desk")
        with live.open("tax", APPROVERS[0]) as room:
            schema = Schema(room=ORIGIN, owner="tax", version=1, tables=(contacts,))
            digest = room.put_schema(schema).statement.digest
        loaded = f"contacts={tmp_path / 'contacts.csv'}"
        assert "loaded contacts (2 rows)" in typed(
            owner, "data", "load", loaded, "--schema", digest
        )
        told = typed(owner, "feature", "add", str(tmp_path / "phone.yaml"))
        assert "a bank can learn: whether it is one of 6 values that it states" in told
        typed(bank, "template", "propose", str(tmp_path / "check.yaml"))
        shown = typed(owner, "template", "show", "known-by-phone")
        assert "It states number, a value of its own" in shown
        template = json.loads(typed(owner, "template", "show", "known-by-phone", "--json"))
        live.approve(template["template"])
        live.agree("tax", "bank-a")
        live.consent(STEADY, "bank-a", features=("tax.phone",))
        asked = ("known-by-phone", "--subject", STEADY, "--purpose", "pre-loan", "--param")
        answers = [
            typed(bank, "check", *asked, f"number={value}").partition("\n")[0]
            for value in ("057188881234", "1", "0571-88881234", "2")
        ]
        assert answers == ["yes", "no", "yes", "no"]
        match_blindly(live, tmp_path)
        over = typed(bank, "cost", *asked, "number=3")
        assert "but nothing new may be asked of it now" in over
        assert "OVER_BUDGET" in typed(bank, "check", *asked, "number=3")
        listed = ("--file", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out.csv"))
        refused = typed(bank, "check", "known-by-phone", "--purpose", "pre-loan", *listed)
        assert "a value is stated of one subject at a time" in refused
        mine = " ".join(typed(live.member(STEADY, "self"), "mine").split())
        assert "whether it is one of 3 values that it stated" in mine
        assert "5 possible values told apart at most, 2.32 bits" in mine
        assert "0571-8888 1234" not in mine
