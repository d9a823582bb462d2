"""The verifier of one file agrees with ours: on every kind of receipt, and on altered ones."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused, standalone
from saferoom_client.cli import app
from saferoom_client.use import UseKind
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.dsse import sign
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Charter, load
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt
from simulator import World
from tests.client.mutants import mutants
from tests.flow.live import LiveRoom
from tests.flow.offers import CURIOUS, LISTED, POOR, SILENT, STEADY
from tests.proto.golden_owners import witnesses

LEAST: Final = {"least": "5000"}
VERIFIER: Final = Path(standalone.__file__).with_name("verify_receipt.py")
USES: Final = ("use", "use of a batch", "use of a row", "use for its price", "disclosure")
KINDS: Final = ("check", "refused", "row", "refused row", "batch", *USES)
OURS: Final[dict[str, Callable[[bytes, Trust], object]]] = {
    "check": lambda data, trust: verify_receipt(Receipt.from_json(data), trust),
    "row": lambda data, trust: verify_row_receipt(RowReceipt.from_json(data), trust),
    "batch": lambda data, trust: verify_batch_receipt(BatchReceipt.from_json(data), trust),
    "use": lambda data, trust: verify_use_receipt(UseReceipt.from_json(data), trust),
}
BY: Final = {"refused": "check", "refused row": "row"} | dict.fromkeys(USES, "use")


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """Load the file as the program that it is."""
    return loaded()


def loaded() -> ModuleType:
    """Load the file by itself."""
    spec = importlib.util.spec_from_file_location("second_verifier", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Kept:
    """A receipt of each kind, as files hold them, and the pinned keys."""

    files: dict[str, bytes]
    trust: Trust


@pytest.fixture(scope="module")
def kept(live: LiveRoom) -> Kept:
    files: dict[str, bytes] = {}
    with live.open("bank-a", "desk") as room:
        check = partial(room.check, "steady-payer", purpose="pre-loan", params=LEAST)
        files["check"] = check(subject=STEADY).receipt.to_json()
        with pytest.raises(Refused) as refused:
            check(subject=SILENT)
        files["refused"] = refused.value.receipt().to_json()
        room.cost("steady-payer", subject=STEADY, purpose="pre-loan", params=LEAST)
        rows = [POOR, SILENT, LISTED]
        batch = room.check_many("steady-payer", rows, purpose="pre-loan", params=LEAST).receipt
        files["batch"] = batch.to_json()
        files["row"] = room.row_receipt(batch, 2).to_json()
        files["refused row"] = room.row_receipt(batch, 1).to_json()
    with live.open(CURIOUS, "self") as room:
        room.get_holdings("tax")
        shown = next(each for each in room.list_uses().uses if each.by_itself)
        files["disclosure"] = room.use_receipt(shown).to_json()
    with live.open(POOR, "self") as room:
        files["use of a row"] = room.use_receipt(room.get_holdings("tax").rows[-1]).to_json()
    with live.open("tax", "li") as room:
        uses = room.list_uses().uses
        batches = (each for each in uses if each.rows is not None)
        single = (each for each in uses if each.kind is UseKind.CHECK)
        files["use"] = room.use_receipt(next(single)).to_json()
        files["use of a batch"] = room.use_receipt(next(batches)).to_json()
        priced = next(each for each in uses if each.of_price)
        files["use for its price"] = room.use_receipt(priced).to_json()
    assert sorted(files) == sorted(KINDS)
    return Kept(files, live.profile("bank-a", "desk").trust)


def ours(kind: str, data: bytes, trust: Trust) -> str | None:
    """Say what our verifier refuses; none if it refuses nothing."""
    try:
        OURS[BY.get(kind, kind)](data, trust)
    except SafeRoomError as error:
        return f"{error.reason}: {error.detail}"
    return None


def second(theirs: ModuleType, data: bytes, trust: bytes) -> str | None:
    """Say what the second verifier refuses; none if it refuses nothing."""
    try:
        theirs.verify(data, trust)
    except theirs.Wrong as error:
        return str(error) or "refused"
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_both_verify_a_whole_receipt(kept: Kept, theirs: ModuleType, kind: str) -> None:
    trust = kept.trust.model_dump_json().encode()
    assert ours(kind, kept.files[kind], kept.trust) is None
    assert second(theirs, kept.files[kind], trust) is None


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [19, pytest.param(1, marks=pytest.mark.soak)])
def test_both_say_the_same_of_a_receipt_with_one_thing_altered(
    kept: Kept, theirs: ModuleType, kind: str, step: int
) -> None:
    trust = kept.trust.model_dump_json().encode()
    differing: list[str] = []
    refused = 0
    # Each is some ten signatures for both of them; of a thousand, `make soak` takes all.
    for where, altered in list(mutants(json.loads(kept.files[kind])))[::step]:
        data = json.dumps(altered, ensure_ascii=False).encode("utf-8", "surrogatepass")
        one, other = ours(kind, data, kept.trust), second(theirs, data, trust)
        refused += one is not None
        if (one is None) != (other is None):
            differing.append(f"{where}: ours {one}, the second {other}")
    assert not differing, "\n".join([f"{len(differing)} differ", *differing[:20]])
    assert refused > 200 / step


@pytest.mark.parametrize("field", ["origin", "ledger_key", "charter_roots"])
def test_under_other_pinned_keys_neither_verifies(
    kept: Kept, theirs: ModuleType, field: str
) -> None:
    others = Trust(
        origin="another.example",
        ledger_key=kept.trust.charter_roots["tax"],
        charter_roots=dict.fromkeys(kept.trust.charter_roots, kept.trust.ledger_key),
    )
    trust = kept.trust.model_copy(update={field: getattr(others, field)})
    for kind, data in kept.files.items():
        assert ours(kind, data, trust) is not None
        assert second(theirs, data, trust.model_dump_json().encode()) is not None


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of libraries that holds `cryptography` and what it needs, and no more."""
    folder = tmp_path_factory.mktemp("bare")
    for name in ("cryptography", "cffi", "pycparser"):
        held = [each for each in files(name) or () if ".." not in each.parts]
        for top in {each.parts[0]: each for each in held}.values():
            place = Path(str(top.locate()))
            for _ in top.parts[1:]:
                place = place.parent
            (folder / top.parts[0]).symlink_to(place)
    return folder


def alone(bare: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the file with Python and those libraries, in an interpreter that sees nothing else."""
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(bare)!r}); sys.argv = sys.argv[1:];"
        "sys.modules.update({name: None for name in ('saferoom_proto', 'saferoom_client')});"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit(9));"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_with_cryptography_alone_and_says_what_it_cannot_verify(
    kept: Kept, bare: Path, tmp_path: Path
) -> None:
    printed = CliRunner().invoke(app, ["receipt", "verifier"])
    program, trust = tmp_path / "verify.py", tmp_path / "trust.json"
    program.write_text(printed.stdout, "utf-8")
    assert program.read_bytes() == VERIFIER.read_bytes()
    trust.write_bytes(kept.trust.model_dump_json().encode())
    for kind, data in kept.files.items():
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(data)
        whole = alone(bare, str(program), str(receipt), "--trust", str(trust))
        assert whole.returncode == 0, (kind, whole.stderr)
        assert "cannot be verified from a receipt" in whole.stdout
        shown = alone(bare, str(program), str(receipt), "--trust", str(trust), "--json")
        assert json.loads(shown.stdout)["verified"] is True
        receipt.write_bytes(data.replace(b"sig", b"gis", 1))
        altered = alone(bare, str(program), str(receipt), "--trust", str(trust))
        assert (altered.returncode, altered.stdout) == (1, "")
        assert altered.stderr.startswith("NOT VERIFIED: ")
    missing = alone(bare, str(program), "none.json", "--trust", str(trust))
    assert (missing.returncode, missing.stderr[:11]) == (2, "cannot read")


WITHOUT_NETWORK: Final = (
    "import os, sys;"
    "sys.addaudithook(lambda event, _: event.startswith('socket.') and os._exit(9));"
    "from saferoom_client.cli import app; app()"
)
"""The command line in a process that ends at the first socket."""


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_command_needs_neither_network_nor_room(
    kept: Kept, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "receipt.json").write_bytes(kept.files[kind])
    (tmp_path / "trust.json").write_bytes(kept.trust.model_dump_json().encode())
    words = ("receipt", "verify", "receipt.json", "--trust", "trust.json", "--json")
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, *words],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verified"] is True


def test_a_charter_that_names_witnesses_is_read_by_both(theirs: ModuleType) -> None:
    world = World("witnessed")
    owner = world.owner("tax", witnesses=witnesses())
    trust = theirs.Trust.read(world.trust().model_dump_json().encode())
    charter = theirs.read_charter(owner.charters[0].to_json().decode(), "tax", trust)
    assert charter.statement.digest == owner.charter.digest
    # A charter without any leaves the field out: with it, it is in another form.
    plain = world.owner("court").charters[0]
    spelt = sign(
        plain.payload_type, plain.payload[:-1] + b',"witnesses":null}', world.owners["court"].root
    )
    with pytest.raises(SafeRoomError):
        load(spelt, Charter)
    with pytest.raises(theirs.Wrong):
        theirs.read_charter(spelt.to_json().decode(), "court", trust)


def test_lines_of_witnesses_below_the_logs_own_are_passed_over_by_both(
    kept: Kept, theirs: ModuleType
) -> None:
    """A receipt may be proven anew under what witnesses cosigned: `saferoom receipt witness`."""
    trust = kept.trust.model_dump_json().encode()
    document = json.loads(kept.files["check"])
    for signature in (b64(bytes(76)), b64(bytes(4 + 8 + 2420))):
        for part in document["parts"]:
            part["proof"] += f"\u2014 bank.example/w {signature}\n"
        data = json.dumps(document).encode()
        assert ours("check", data, kept.trust) is None
        assert second(theirs, data, trust) is None
    document["parts"][0]["proof"] += "\u2014 bank.example/w\n"
    data = json.dumps(document).encode()
    assert ours("check", data, kept.trust) is not None
    assert second(theirs, data, trust) is not None
