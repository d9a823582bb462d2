"""What is said of an enclave that cannot answer: why, and what its owner types."""

from __future__ import annotations

import json

import pytest

from saferoom.config import RunBy
from saferoom.place import LinkState
from saferoom_client.cli.faults import RUN_BY, STATES, fault_lines
from saferoom_client.cli.staying import teller
from saferoom_client.events import Event, Happening
from saferoom_client.tongue import Language, speak
from saferoom_client.values import EnclaveState

DIGEST = "sha256:" + "5" * 64
REFUSED = f"BAD_EVIDENCE: the key agent refuses: BAD_EVIDENCE: code {DIGEST} is not accepted"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.EN)


def told(state: str, fault: str = "") -> str:
    enclave = EnclaveState(
        owner="tax",
        run_by="server",
        connected=True,
        state=state,
        sandbox_level=3,
        sandbox_missing=(),
        endorsement="",
        fault=fault,
    )
    return "\n".join(fault_lines([enclave]))


def test_every_state_that_a_room_says_is_listed_for_translation() -> None:
    assert set(STATES) == set(LinkState)
    assert set(RUN_BY) == set(RunBy)


def test_a_locked_enclave_waits_for_its_key_whatever_ended_the_run_before() -> None:
    said = told("locked", "UNAVAILABLE: the process ended with -9")
    assert "tax cannot answer: it waits for its key" in said
    assert "saferoom agent run" in said
    assert "-9" not in said


def test_code_that_the_owner_has_not_accepted_is_named_with_the_command_that_takes_it() -> None:
    said = told("locked", REFUSED)
    assert REFUSED in said
    assert "saferoom measure" in said
    assert f"saferoom agent accept AGENT --code {DIGEST}" in said
    weak = "BAD_EVIDENCE: the key agent refuses: SANDBOX_TOO_WEAK: sandbox level 0"
    assert "what its key agent says" in told("locked", weak)


def test_who_serves_has_nothing_told_and_who_is_away_its_relay() -> None:
    assert told("serving") == ""
    assert "saferoom relay run" in told("away")


def test_a_key_agent_prints_what_its_owner_can_type(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"saferoom agent accept tax-agent --code {DIGEST}"
    event = Event(Happening.REFUSED, f"BAD_EVIDENCE: code {DIGEST} is not accepted", command)
    teller(as_json=False)(event)
    assert capsys.readouterr().out.splitlines()[1].endswith(command)
    teller(as_json=True)(event)
    assert json.loads(capsys.readouterr().out)["command"] == command
