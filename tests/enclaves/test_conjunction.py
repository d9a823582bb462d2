"""A private conjunction: of the owners' parts the asker learns only whether all of them hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from saferoom_client.batch_opening import require_sound
from saferoom_proto.answer import Truth, combine
from saferoom_proto.batch import CONSENT_BYTES, SHARED, JudgedRows, Row, When
from saferoom_proto.batch_receipt import folded
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import SHARE_BYTES, Share
from saferoom_proto.statements import Returns, load
from saferoom_proto.suite import Suite
from simulator.batch import SimBatch, ask_batch, batch_of
from simulator.conjoined import Conjoined, conjoined
from simulator.owner import APPROVERS

SERIALS = (1, 2, 3, 4, 9)
CASES = [
    (1, "50000", Truth.YES),
    (1, "500000", Truth.NO),  # the tax office's part fails
    (2, "50000", Truth.NO),  # the court's
    (3, "50000", Truth.NO),  # the tax office's and the water works'
    (4, "50000", Truth.NO),  # neither of these two knows
    (9, "50000", Truth.NO),  # nobody has heard of it
]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conjoined]:
    """Give three owners and their enclaves; a test leaves nothing behind but what it asked."""
    made = conjoined(tmp_path_factory.mktemp("conjoined"))
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Conjoined]:
    """Give a room of its own."""
    made = conjoined(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(("serial", "min_vat", "whole"), CASES)
def test_the_shares_add_up_to_whether_all_parts_hold(
    room: Conjoined, serial: int, min_vat: str, whole: Truth
) -> None:
    assert room.whole(room.question(serial, min_vat)) is whole


def test_a_guomi_room_conjoins_too(tmp_path: Path) -> None:
    with closing(conjoined(tmp_path, Suite.GUOMI)) as guomi:
        assert guomi.whole(guomi.question(1)) is Truth.YES
        assert guomi.whole(guomi.question(2)) is Truth.NO


def test_a_part_that_is_not_known_looks_like_one_that_fails(room: Conjoined) -> None:
    certificate = load(room.sound.certificate, ReleaseCertificate)
    assert {part.answers for part in certificate.parts} == {2}
    assert certificate.returns is Returns.CONJUNCTION
    pinned = {part.owner: part.charter for part in certificate.parts}
    assert pinned == {owner.name: owner.charter.digest for owner in room.owners}


def test_every_owner_charges_as_for_its_part(room: Conjoined) -> None:
    parts = room.room.approved("sound-in-parts", formula_of(room), *room.owners)
    room.follow()
    told = room.ask(room.question(2, "100000"))
    charged = {owner: verdict.release.charges for owner, verdict in told.items()}
    again = room.ask(room.question(2, "100000", parts))
    # The same cuts, which were paid for: asked by the parts they cost nothing more.
    for owner, charges in charged.items():
        assert [each.feature for each in charges] == [
            each.feature for each in again[owner].release.charges
        ]
        assert [each.cells_after for each in charges] == [
            each.cells_before for each in again[owner].release.charges
        ]


def formula_of(room: Conjoined) -> str:
    return " AND ".join(
        part.formula for part in load(room.sound.certificate, ReleaseCertificate).parts
    )


def test_a_repeat_gets_the_stored_share_also_after_a_restart_and_a_load(
    fresh: Conjoined,
) -> None:
    question = fresh.question(1)
    before = {owner: verdict.judged for owner, verdict in fresh.ask(question).items()}
    for enclave in fresh.enclaves.values():
        enclave.restart()
    fresh.enclaves["water"].load({"bills": b"uscc,months_paid\n"})
    after = {owner: verdict.judged for owner, verdict in fresh.ask(question).items()}
    assert after == before


def test_one_owner_that_refuses_is_named_and_the_other_shares_tell_nothing(
    fresh: Conjoined,
) -> None:
    fresh.water.pause()
    fresh.follow()
    told = fresh.ask(fresh.question(1))
    assert told["water"].reason is Reason.PAUSED
    assert told["water"].share is None
    given = [verdict.share for verdict in told.values() if verdict.share is not None]
    assert len(given) == 2
    assert combine(given) is Truth.NO  # they are no answer, whatever they are


def test_rows_of_a_batch_have_shares_of_their_own(room: Conjoined) -> None:
    batch = _batch(room, *SERIALS, 1)
    words = {owner: ask_batch(enclave, batch) for owner, enclave in room.enclaves.items()}
    rows = list(zip(*(word.records for word in words.values()), strict=True))
    certificate = load(room.sound.certificate, ReleaseCertificate)
    told = [folded([record.outcome for record in row], certificate) for row in rows]
    assert told == [Truth.YES, Truth.NO, Truth.NO, Truth.NO, Truth.NO, None]
    assert {record.outcome for record in rows[-1]} == {Reason.ROW_REPEATED}
    shares = [record.outcome for row in rows for record in row if isinstance(record.outcome, Share)]
    assert len(set(shares)) == 3 * len(SERIALS)
    assert {word.release.answered for word in words.values()} == {len(SERIALS)}
    for owner, word in words.items():
        part = load(room.sound.certificate, ReleaseCertificate).part(owner)
        *answered, repeated = [len(record.charges) for record in word.records]
        assert (set(answered), repeated) == ({len(part.charged)}, 0)


def _batch(room: Conjoined, *serials: int) -> SimBatch:
    rows = [Row(room.room.world.subject(serial).uscc) for serial in serials]
    return batch_of(room.room.bank, room.sound, rows, ({"min_vat": "50000"},))


def test_a_batch_with_a_share_that_is_none_is_taken_by_no_asker(room: Conjoined) -> None:
    """An owner that lies would else leave it to verify, and a row of it not to be read."""
    batch, enclave = _batch(room, 1), room.enclaves["tax"]
    release = ask_batch(enclave, batch).release
    part = load(room.sound.certificate, ReleaseCertificate).part("tax")
    when = When(int(release.time.timestamp() * 1000), 1).to_bytes()

    def taken(share: bytes) -> None:
        charges = bytes([0, 1, 0, 2]) * len(part.charged)
        record = bytes([SHARED]) + b"\1" * CONSENT_BYTES + charges + share
        chunk = JudgedRows(0, batch.packed, when, record)
        require_sound(chunk, part, release, batch.request)

    taken(bytes(SHARE_BYTES))
    with pytest.raises(SafeRoomError) as refused:
        taken(b"\xff" * SHARE_BYTES)
    assert refused.value.reason is Reason.MALFORMED


def test_a_template_over_one_owner_conjoins_nothing(room: Conjoined) -> None:
    with pytest.raises(SafeRoomError, match="MALFORMED") as refused:
        room.room.approved("alone", "tax.arrears IS FALSE", returns=Returns.CONJUNCTION)
    assert [fault.field for fault in refused.value.fields] == ["returns"]


def test_fewer_approvals_than_the_charter_asks_let_no_share_out(fresh: Conjoined) -> None:
    template, certificate = fresh.room.bank.propose(
        "other", "tax.arrears IS FALSE AND court.dishonest", returns=Returns.CONJUNCTION
    )
    fresh.room.tax.approve(template, certificate.digest)
    fresh.room.court.approve(template, certificate.digest, APPROVERS[:1])
    fresh.follow()
    subject = fresh.room.world.subject(1)
    question = fresh.room.bank.request(subject, template, certificate)
    assert fresh.enclaves["tax"].ask(question).share is not None
    assert fresh.enclaves["court"].ask(question).reason is Reason.NOT_APPROVED
