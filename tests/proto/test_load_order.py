"""A load's order opens for one load and one enclave, and is its approver's; else it is refused."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.hpke import SealingKey
from saferoom_proto.keys import SigningKey
from saferoom_proto.load import LoadHeader, LoadTable, make_content_key
from saferoom_proto.load_order import LoadOrder, open_order, seal_order
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter, load, seal_statement
from saferoom_proto.verification import PinnedCharter

SCHEMA = "sha256:" + "1" * 64
SNAPSHOT = "sha256:" + "2" * 64
ROOM = "room.example"
KEY = bytes(range(32))
AT = datetime(2026, 3, 2, 9, 0, 0, 123456, UTC)
ENCLAVE = SealingKey.generate()
REPLY = SealingKey.generate()
APPROVER, SECOND = (SigningKey.from_seed(bytes([seed]) * 32) for seed in (0, 1))


@dataclasses.dataclass
class _Named:
    name: str
    key: str


def charter(owner: str = "tax", room: str = ROOM) -> PinnedCharter:
    """Make the little of a charter that a load's order is checked against."""
    approvers = (
        _Named("first", APPROVER.verify_key.public),
        _Named("second", SECOND.verify_key.public),
    )
    fields = {"owner": owner, "room": room, "approvers": approvers}
    return PinnedCharter(Charter.model_construct(**fields), SCHEMA)  # pyright: ignore[reportArgumentType]


def header(pieces: int = 1, owner: str = "tax") -> LoadHeader:
    return LoadHeader(owner, SCHEMA, (LoadTable("vat", pieces),))


def order(what: LoadHeader, content_key: bytes = KEY, **changes: object) -> LoadOrder:
    made = LoadOrder.of(
        what,
        content_key,
        room=ROOM,
        approver="first",
        follows=SNAPSHOT,
        reply_key=REPLY.public,
        at=AT,
    )
    return LoadOrder.model_validate(made.model_dump() | changes)


def sealed(
    what: LoadHeader, *, key: SigningKey = APPROVER, content_key: bytes = KEY, **changes: object
) -> bytes:
    signed = seal_statement(order(what, content_key, **changes), key)
    return seal_order(signed, what, content_key, ENCLAVE.public)


def refused(reason: Reason) -> pytest.RaisesExc[SafeRoomError]:
    return pytest.raises(SafeRoomError, match=f"^{reason}")


def test_an_approvers_order_gives_the_enclave_the_loads_key() -> None:
    key = make_content_key()
    opened = open_order(sealed(header(), content_key=key), header(), ENCLAVE, charter())
    assert opened.content_key == key
    assert opened.order == order(header(), key)
    assert opened.order.at == AT.replace(microsecond=123000)
    assert key.hex() not in repr(opened)


def test_the_opened_statement_shows_who_ordered_and_verifies_by_itself() -> None:
    opened = open_order(sealed(header()), header(), ENCLAVE, charter())
    again = Envelope.from_json(opened.statement.to_json())
    again.verify([APPROVER.verify_key])
    assert (load(again, LoadOrder).approver, load(again, LoadOrder).follows) == ("first", SNAPSHOT)


def test_a_sealed_order_fits_its_field_on_the_wire() -> None:
    assert len(sealed(header(), approver="a" * 63, key=APPROVER)) <= 8192


def test_an_order_by_anybody_but_the_approver_it_names_is_refused() -> None:
    for wrong in (
        sealed(header(), key=SigningKey.generate()),
        sealed(header(), key=SECOND),
        sealed(header(), approver="third"),
    ):
        with refused(Reason.BAD_SIGNATURE):
            open_order(wrong, header(), ENCLAVE, charter())


def test_an_order_opens_for_its_own_header_room_owner_and_enclave_only() -> None:
    good = sealed(header())
    for wrong in (header(2), header(owner="court")):
        with refused(Reason.BAD_SEAL):
            open_order(good, wrong, ENCLAVE, charter())
    with refused(Reason.BAD_SEAL):
        open_order(good, header(), SealingKey.generate(), charter())
    for other in (charter(room="other.example"), charter(owner="court")):
        with refused(Reason.BAD_SIGNATURE):
            open_order(good, header(), ENCLAVE, other)


def test_an_order_for_another_load_or_key_is_refused_under_the_right_seal() -> None:
    for wrong in (
        sealed(header(), load=header(2).digest),
        sealed(header(), key=APPROVER, owner="court"),
        seal_order(seal_statement(order(header()), APPROVER), header(), bytes(32), ENCLAVE.public),
    ):
        with refused(Reason.BAD_SIGNATURE):
            open_order(wrong, header(), ENCLAVE, charter())


def test_an_order_names_a_key_that_faults_can_be_sealed_to() -> None:
    for wrong in ("", "AAAA"):
        with pytest.raises(ValueError, match="HPKE"):
            order(header(), reply_key=wrong)
