"""Enclaves that their owners run: the server is not their parent, and a relay connects them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saferoom_client.values import CheckAnswer
from saferoom_proto.answer import Truth
from tests.flow.offers import STEADY
from tests.flow.premises import Premises

pytestmark = pytest.mark.timeout(240)

LEAST = {"least": "5000"}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    room = Premises(tmp_path_factory.mktemp("outside"))
    try:
        room.start()
        room.equip()
        yield room
    finally:
        room.processes.stop()


def ask(room: Premises, subject: str = STEADY) -> CheckAnswer:
    with room.open("bank-a", "desk") as bank:
        return bank.check("steady-payer", subject=subject, purpose="pre-loan", params=LEAST)


def test_a_check_is_answered_by_enclaves_that_the_server_did_not_start(outside: Premises) -> None:
    assert ask(outside).truth is Truth.YES
