"""Evidence cannot be forged, copied, shown or compared; a leak does not type-check."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from saferoom_enclaves import gate
from saferoom_enclaves.admit import Admitted, Asked
from saferoom_enclaves.appraise import Appraised, Inquired
from saferoom_enclaves.charge import Charged
from saferoom_enclaves.claim import Claimed
from saferoom_enclaves.evidence import Right
from saferoom_enclaves.gate import Released, Sealed
from saferoom_proto.answer import Truth
from simulator import EnclaveHarness, Sample

SEALED = Sealed(gate._EXECUTED, Truth.YES)


WAYS: list[Callable[[Any], object]] = [
    repr,
    str,
    format,
    bool,
    hash,
    pickle.dumps,
    copy.copy,
    copy.deepcopy,
    vars,
    json.dumps,
    lambda sealed: f"{sealed}",
    lambda sealed: f"{sealed!r}",
    lambda sealed: "%s" % sealed,  # noqa: UP031 - one of the ways to show a thing
    lambda sealed: sealed == sealed,  # noqa: PLR0124 - whether it compares at all
    lambda sealed: sealed != Truth.YES,
    lambda sealed: {sealed: 1},
    lambda sealed: sealed in (Truth.NO,),  # noqa: FURB171
    lambda sealed: sealed.open(Right()),
    lambda sealed: sealed.open(gate._EXECUTED),
]
"""How a value gets out by mistake."""


@pytest.mark.parametrize("leak", WAYS)
def test_a_sealed_value_cannot_be_got_at(leak: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        leak(SEALED)


def test_a_container_with_a_sealed_value_cannot_be_shown_either() -> None:
    with pytest.raises(TypeError):
        repr([SEALED])


def test_the_gate_alone_opens_a_sealed_value() -> None:
    assert SEALED.open(gate._RELEASED) is Truth.YES


@pytest.mark.parametrize(
    "kind", [Asked, Admitted, Charged, Inquired, Appraised, Claimed, Released, Sealed]
)
def test_forged_evidence_fails_when_it_is_made(kind: type[object]) -> None:
    made = cast("Callable[..., object]", kind)
    for right in (None, object(), Right(), Truth.YES):
        for fields in range(7):
            with pytest.raises(TypeError):
                made(right, *[None] * fields)


def test_evidence_is_not_copied(room: Sample, enclave: EnclaveHarness) -> None:
    judged = enclave.judge(room.question())
    released = Released(gate._RELEASED, judged)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(released)
    assert released.judged == judged


LEAKS = {
    "another's records without its own request": (
        "from saferoom_enclaves.gate import collect\n"
        "from saferoom_enclaves.held import Reading\n"
        "def leak(reading: Reading) -> object:\n"
        "    return collect('91990000000001011G', reading)\n"
    ),
    "what is held, shown to who asked a question": (
        "from saferoom_enclaves.admit import Asked\n"
        "from saferoom_enclaves.gate import Gate, Moment, Sealed\n"
        "from saferoom_enclaves.held import Held\n"
        "def leak(gate: Gate, by: Asked, it: Sealed[Held], at: Moment) -> object:\n"
        "    return gate.disclose(by, it, at)\n"
    ),
    "what is held, in the place of an answer": (
        "from saferoom_enclaves.charge import Charged\n"
        "from saferoom_enclaves.gate import Gate, Moment, Sealed\n"
        "from saferoom_enclaves.held import Held\n"
        "def leak(to: Gate, by: Charged, it: Sealed[Held], at: Moment) -> object:\n"
        "    return to.release(by, it, at)\n"
    ),
    "forged with another right": (
        "from saferoom_enclaves.evidence import Right\n"
        "from saferoom_enclaves.gate import Sealed\n"
        "Sealed(Right(), True)\n"
    ),
    "forged with the private right": (
        "from saferoom_enclaves import admit\n"
        "from saferoom_enclaves.admit import Asked, Admitted\n"
        "def forge(asked: Asked) -> Admitted:\n"
        "    return Admitted(admit._ADMITTED, asked, asked, asked, None)\n"
    ),
    "a step left out": (
        "from saferoom_enclaves.admit import Admitted\n"
        "from saferoom_enclaves.gate import CellIndex, execute\n"
        "def skip(admitted: Admitted, index: CellIndex) -> object:\n"
        "    return execute(admitted, index)\n"
    ),
    "a price taken for a charge": (
        "from saferoom_enclaves.appraise import Appraised\n"
        "from saferoom_enclaves.gate import CellIndex, execute\n"
        "def skip(appraised: Appraised, index: CellIndex) -> object:\n"
        "    return execute(appraised, index)\n"
    ),
    "opened outside the gate": (
        "from saferoom_enclaves.gate import Sealed\n"
        "from saferoom_proto.answer import Truth\n"
        "def leak(sealed: Sealed[Truth]) -> Truth:\n"
        "    return sealed._value\n"
    ),
    "a sealed value where the value is wanted": (
        "from saferoom_enclaves.gate import Sealed\n"
        "from saferoom_proto.answer import Answer, Truth\n"
        "def leak(sealed: Sealed[Truth]) -> Answer:\n"
        "    return Answer(sealed, bytes(32))\n"
    ),
    "a sealed value on the wire": (
        "from saferoom_enclaves import wire\n"
        "from saferoom_enclaves.gate import Sealed\n"
        "from saferoom_proto.answer import Truth\n"
        "def leak(sealed: Sealed[Truth]) -> object:\n"
        "    return wire.judge_response(sealed)\n"
    ),
    "an answer decided by": (
        "from saferoom_enclaves.gate import Sealed\n"
        "from saferoom_proto.answer import Truth\n"
        "def leak(sealed: Sealed[Truth]) -> int:\n"
        "    if sealed:\n"
        "        return 1\n"
        "    return 0\n"
    ),
}


def test_a_leak_does_not_type_check(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    for number, (what, code) in enumerate(LEAKS.items()):
        (tmp_path / f"leak_{number}.py").write_text(f"# {what}\n{code}", "utf-8")
    (tmp_path / "honest.py").write_text(
        "from saferoom_enclaves.charge import Charged\n"
        "from saferoom_enclaves.gate import CellIndex, Sealed, execute\n"
        "from saferoom_proto.answer import Told\n"
        "from saferoom_proto.blind import Offer\n"
        "def honest(charged: Charged, index: CellIndex) -> Sealed[Told | Offer]:\n"
        "    return execute(charged, index)\n",
        "utf-8",
    )
    config = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(root / "proto"), str(root / "enclaves")],
        "reportUnusedExpression": "none",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)]
    command += ["--pythonpath", sys.executable]
    run = subprocess.run(command, capture_output=True, check=False, text=True)
    found = {Path(each["file"]).name for each in json.loads(run.stdout)["generalDiagnostics"]}
    assert found == {f"leak_{number}.py" for number in range(len(LEAKS))}
