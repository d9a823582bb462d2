"""A receipt, a room or a key agent that writes to a reader's terminal what the program never said.

An escape sequence goes up a line and deletes it; a line feed begins a line like ours; a mark of
direction turns a line round. None of it leaves as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from saferoom_client import standalone
from saferoom_client.cli.narrow import COLUMNS, quoted
from saferoom_client.cli.output import as_written, columns_of, print_error, show
from saferoom_client.cli.staying import teller
from saferoom_client.cli.tables import table
from saferoom_client.events import Event, Happening
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from tests.client.tampering import told as made

LIE = "\x1b[1A\x1b[2K\r\nverified: all of it\u202e\x9b2K\u2028"
VERIFIER = Path(standalone.__file__).with_name("verify_receipt.py")
WORD = (
    "room owner request institution endorsement charter template certificate approvals agreement"
    " consent stream store outcome reason charges answer chain time"
)


@pytest.mark.parametrize("kind", ["release", "release" + LIE])
def test_a_file_that_nobody_signed_writes_nothing_but_why_it_is_refused(
    tmp_path: Path, kind: str
) -> None:
    whole = made()
    says = json.dumps(dict.fromkeys(WORD.split(), LIE), ensure_ascii=False, separators=(",", ":"))
    word = {
        "payload": b64(says.encode()),
        "payloadType": f"application/vnd.saferoom.{kind}.v1+json",
        "signatures": [{"keyid": "any", "sig": b64(bytes(64))}],
    }
    charter = whole.receipt.parts[0].charters[0]
    use = {"format": "saferoom-use/v1", "charter": charter, "endorsement": "", "salt": ""}
    use |= {"word": json.dumps(word), "proof": "", "question": None}
    (tmp_path / "use.json").write_text(json.dumps(use), "utf-8")
    (tmp_path / "trust.json").write_text(whole.trust.model_dump_json(), "utf-8")
    told = subprocess.run(
        [sys.executable, VERIFIER, "use.json", "--trust", "trust.json"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = told.stderr.decode()
    assert (told.returncode, told.stdout) == (1, b"")
    assert said.startswith("NOT VERIFIED: ")
    assert said.removesuffix("\n").isprintable()


def test_an_error_of_the_other_side_begins_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(SafeRoomError(Reason.MALFORMED, LIE, [FieldFault(LIE, LIE)]), as_json=False)
    print_error(SafeRoomError(Reason.UNAVAILABLE, LIE), as_json=False)
    teller(as_json=False)(Event(Happening.DISCONNECTED, LIE, LIE))
    told = capsys.readouterr()
    lines = (told.out + told.err).splitlines()
    assert all(each.isprintable() for each in lines)
    assert not any(each.startswith("verified") for each in lines)
    assert r"\x1b[2K" in told.err  # what it was is seen


def test_a_result_keeps_its_lines_and_nothing_else_of_that_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "SELECT 1\n\tFROM firms -- \u4e2d\u6587, caf\u00e9"
    assert as_written(text) == text
    show(False, {}, text, LIE)
    assert "\x1b" not in (said := capsys.readouterr().out)
    assert "\u202e" not in said


def test_a_cell_of_a_table_begins_no_line() -> None:
    lines = table(["ROLE", "MISSING"], [["enclave", f"a sandbox{LIE}"], ["server", ""]])
    assert len(lines) == 3
    assert all(each.isprintable() for each in lines)
    assert r"a sandbox\x1b[1A" in lines[1]


@pytest.mark.parametrize("filler", ["x ", "x", "\u4e2d", "\u2800"])
def test_no_line_of_a_risk_notice_goes_on_where_ours_begin(filler: str) -> None:
    """A bank writes the notice: padded to the terminal's edge, its rest would look like ours."""
    lines = list(quoted(f"{filler * 200}verified: all of it\nRead this."))
    assert len(lines) > 4
    assert all(line.startswith("    | ") and columns_of(line) <= COLUMNS for line in lines)
    assert lines[-1] == "    | Read this."


def test_json_on_a_terminal_means_the_same_and_steers_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {"what": LIE + "\U000e0041\ud800", "中文": ["é"]}
    show(True, told)
    teller(as_json=True)(Event(Happening.DISCONNECTED, LIE))
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.split("\n"))
    document, _, line = said.rstrip("\n").rpartition("\n")
    assert json.loads(document) == told
    assert json.loads(line)["detail"] == LIE
    assert "中文" in said
