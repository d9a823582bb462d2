"""A room whose owner's keys are on a token: it works, and says so when the token is taken out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from saferoom_client.agent.folder import Policy
from tests.attacks.smallroom import SmallRoom, small_room
from tests.client.tokens import IS_THERE, MISSING, Tokens
from tests.flow import live as flow
from tests.flow.live import succeeds
from tests.flow.offers import STEADY

pytestmark = pytest.mark.skipif(not IS_THERE, reason=MISSING)


def answered(live: SmallRoom) -> bool:
    def ask() -> None:
        with live.open("bank-a", "desk") as room:
            params = {"least": "5000"}
            room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params)

    return succeeds(ask)


def faults(live: SmallRoom) -> str:
    with live.open("operator", "desk") as room:
        return " ".join(each.fault for each in room.describe().enclaves)


@pytest.mark.timeout(240)
def test_an_enclave_gets_its_key_from_a_token_and_none_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = tmp_path / "hsm"
    hsm.mkdir()
    tokens = Tokens(hsm, monkeypatch)
    monkeypatch.setattr(flow, "Policy", partial(Policy, token=tokens.make("tax")))
    folder = tmp_path / "live"
    folder.mkdir()
    with small_room(folder) as live:
        live.say(STEADY)
        assert answered(live)
        assert not list(live.agents["tax"].folder.glob("*.key"))
        # Taken out while the agent runs: an enclave that starts anew gets no key, and why is told.
        away = hsm / "away"
        tokens.folder.rename(away)
        tokens.folder.mkdir()
        live.processes.kill("server")
        live.start_server()
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(
            lambda: "no token tax is there" in faults(live), "nobody says why", 60
        )
        assert not live.serving()
        tokens.folder.rmdir()
        away.rename(tokens.folder)
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)
        assert answered(live)
