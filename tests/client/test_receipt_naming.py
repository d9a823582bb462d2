"""A receipt that does not verify is named, with what its reader can do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.cli.receipt_kinds import naming
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.trust import Trust
from simulator.seeds import Seeds

FILE, DESK = Path("of-march.json"), Path("bank/desk")
TRUST = Trust(
    origin="naming.test/room",
    ledger_key=Seeds("receipt").signing("anybody").verify_key.public,
    charter_roots={},
)


def test_whose_root_is_not_pinned_is_told_with_the_command_that_pins_it() -> None:
    with pytest.raises(SafeRoomError) as refused, naming(FILE, DESK):
        TRUST.root_of("court")
    assert refused.value.reason is Reason.BAD_CHARTER
    assert refused.value.detail == "of-march.json: no pinned charter root for court"
    assert refused.value.__notes__[-1] == "saferoom trust pin court ROOT -p bank/desk"


def test_a_file_of_pinned_keys_has_no_command_that_pins_more() -> None:
    with pytest.raises(SafeRoomError) as refused, naming(FILE, None):
        TRUST.root_of("court")
    assert getattr(refused.value, "__notes__", []) == []


def test_what_is_named_already_stays_as_it_is() -> None:
    said = SafeRoomError(Reason.MALFORMED, "a rule", [FieldFault("parts", "a rule")])
    with pytest.raises(SafeRoomError) as refused, naming(FILE, DESK):
        raise said
    assert refused.value is said
