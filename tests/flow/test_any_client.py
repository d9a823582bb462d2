"""Clients that are not ours: buf's own, and one in TypeScript that was made from the protos."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final, cast

import pytest

from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, SILENT, STEADY, UNKNOWN
from tests.flow.pages import ADDRESS, Hand, blocks, typing_in

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "examples" / "typescript"
BUILD_SECONDS: Final = 300
CALL_SECONDS: Final = 60


def address_of(live: LiveRoom) -> str:
    card = cast("dict[str, str]", json.loads((live.room / "room-card.json").read_bytes()))
    return card["address"]


@pytest.fixture
def hand(tmp_path: Path, live: LiveRoom, monkeypatch: pytest.MonkeyPatch) -> Generator[Hand]:
    """Give a folder with the bank's member folder in it, `saferoom` and `buf` at hand."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with typing_in(tmp_path) as hand:
        (hand.folder / "bank-a").symlink_to(live.member("bank-a", "desk"))
        yield hand


def test_the_page_s_commands_work_as_they_stand(hand: Hand, live: LiveRoom) -> None:
    text = (ROOT / "docs" / "any-client.md").read_text("utf-8")
    text = text.replace(ADDRESS, address_of(live)).replace("91990000000001011G", STEADY)
    typed = [block for block in blocks(text) if block.kind == "sh"]
    defined = next(block.text for block in typed if "room() {" in block.text).splitlines()[0]
    for block in typed:
        hand.do(block.after(defined))
    assert text.count("```") == 2 * len(blocks(text))


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the TypeScript client in a copy of its folder; skip without npm and its packages."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node is not installed")
    root = tmp_path_factory.mktemp("typescript")
    left_out = shutil.ignore_patterns("node_modules", "dist", "gen", "*.py", "*.pyi")
    for part in ("examples/typescript", "proto"):
        shutil.copytree(ROOT / part, root / part, ignore=left_out)
    (root / "tests" / "proto").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "proto" / "golden.json", root / "tests" / "proto")
    folder = root / "examples" / "typescript"
    fetched = npm_run(folder, "ci", "--prefer-offline", "--no-audit", "--no-fund")
    if fetched.returncode != 0:
        pytest.skip(f"npm could not fetch the packages of the lock: {fetched.stdout[-300:]}")
    built = npm_run(folder, "run", "build")
    assert built.returncode == 0, built.stdout
    return folder


def npm_run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BUILD_SECONDS,
        check=False,
        text=True,
    )


def ask(client: Path, member: Path, subject: str, **changes: str) -> Mapping[str, object]:
    asked = {"template": "steady-payer", "purpose": "pre-loan", "param": "least=5000"} | changes
    words = [asked.pop("template"), "--subject", subject]
    words += [word for name, value in asked.items() for word in (f"--{name}", value)]
    done = subprocess.run(
        ["node", "dist/main.js", str(member), *words],
        cwd=client,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=CALL_SECONDS,
        check=False,
        text=True,
    )
    told = cast("dict[str, object]", json.loads(done.stdout))
    assert done.returncode == int("error" in told), done.stderr
    return told


def error(told: Mapping[str, object]) -> dict[str, object]:
    return cast("dict[str, object]", told["error"])


def test_the_example_s_page_says_what_these_tests_run() -> None:
    (typed,) = blocks((EXAMPLE / "README.md").read_text("utf-8"))[:1]
    fetch, build, check, run = typed.text.splitlines()
    assert (fetch, build, check) == ("npm ci", "npm run build", "npm test")
    assert run.startswith("node dist/main.js MEMBER-FOLDER paid-enough --subject ")


@pytest.mark.timeout(BUILD_SECONDS)
def test_typescript_reads_and_writes_the_room_s_frozen_bytes(client: Path) -> None:
    run = npm_run(client, "test")
    assert run.returncode == 0, run.stdout
    assert "# fail 0" in run.stdout


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize(
    ("subject", "answer", "parts"),
    [
        (STEADY, "yes", {"court": "yes", "tax": "yes"}),
        (POOR, "no", {"court": "yes", "tax": "no"}),
        (LISTED, "no", {"court": "no", "tax": "yes"}),
        (UNKNOWN, "not_found", {"court": "yes", "tax": "not_found"}),
    ],
)
def test_typescript_signs_a_check_and_opens_its_answer(
    client: Path, live: LiveRoom, subject: str, answer: str, parts: dict[str, str]
) -> None:
    told = ask(client, live.member("bank-a", "desk"), subject)
    assert told["answer"] == answer, told
    opened = cast("list[dict[str, str]]", told["parts"])
    assert {each["owner"]: each["truth"] for each in opened} == parts


@pytest.mark.timeout(BUILD_SECONDS)
def test_typescript_tells_refusals_by_their_reason(client: Path, live: LiveRoom) -> None:
    member = live.member("bank-a", "desk")
    assert error(ask(client, member, SILENT))["reason"] == "NO_CONSENT"
    assert error(ask(client, member, STEADY, param="least=5001"))["reason"] == "OFF_GRID"
    nowhere = error(ask(client, member, STEADY, template="nobody-wrote-it"))
    assert nowhere["reason"] == "UNKNOWN_STATEMENT"
    malformed = error(ask(client, member, STEADY, template="x" * 81))
    assert malformed["reason"] == "MALFORMED"
    assert [each["field"] for each in cast("list[dict[str, str]]", malformed["places"])] == [
        "template"
    ]
    stranger = error(ask(client, live.member("bank-b", "desk"), STEADY))
    assert stranger["reason"] == "NO_AGREEMENT"


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("pinned", ["ledger_key", "tax"])
def test_typescript_believes_nobody_but_the_keys_it_pinned(
    client: Path, live: LiveRoom, tmp_path: Path, pinned: str
) -> None:
    member = tmp_path / "desk"
    shutil.copytree(live.member("bank-a", "desk"), member)
    trust = cast("dict[str, dict[str, str]]", json.loads((member / "trust.json").read_bytes()))
    roots = trust["charter_roots"]
    wrong = roots["court"]
    (trust if pinned == "ledger_key" else roots)[pinned] = wrong  # pyright: ignore[reportArgumentType]
    (member / "trust.json").write_text(json.dumps(trust), "utf-8")
    told = error(ask(client, member, STEADY))
    assert told["reason"] == "NOT_VERIFIED", told
