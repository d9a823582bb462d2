"""Any member challenges an enclave of a running room, in Python and on the command line."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_proto.measure import measure_code
from tests.flow.live import LiveRoom


def test_a_bank_has_an_enclave_show_what_it_is(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        first, second = (room.get_evidence("tax") for _ in range(2))
    assert first.claims.code == measure_code()
    assert first.claims.nonce != second.claims.nonce
    assert first.claims.identity == second.claims.identity == first.endorsement.identity


def test_the_command_tells_it_and_takes_no_software_for_hardware(live: LiveRoom) -> None:
    command = ["enclave", "evidence", "tax", "-p", str(live.member("bank-a", "desk"))]
    told = CliRunner().invoke(app, [*command, "--json"])
    assert told.exit_code == 0, told.output
    document = json.loads(told.output)
    assert (document["kind"], document["hardware"]) == ("software", False)
    shown = CliRunner().invoke(app, command)
    assert "software evidence: whoever holds the endorsed key says all of this" in shown.output
    refused = CliRunner().invoke(app, [*command, "--hardware"])
    assert refused.exit_code == 1
    assert "BAD_EVIDENCE" in refused.output
    alone = CliRunner().invoke(app, [*command, "--tdx-policy", "nowhere.json"])
    assert alone.exit_code == 1
    assert "go together" in alone.output


def test_many_who_look_push_out_no_key_agents_challenge(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        kinds = {room.get_evidence("tax").kind for _ in range(70)}
    assert kinds == {"software"}
    assert live.serving()
