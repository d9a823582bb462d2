"""Sums over owners in their enclaves: the total and nothing else; and attacks on one owner's part.

The rooms are the simulator's, with an enclave of each owner and noise of OpenDP's.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_client.cli.sum_words import charged_notes, shown_sum
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.encoding import unb64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS
from saferoom_proto.statements import (
    MeasureKind,
    OwnersPeriod,
    PrivacySpent,
    load,
    seal_statement,
)
from saferoom_proto.tables.sum_receipt import SumReceipt, verify_sum_receipt
from saferoom_proto.tables.summed import add_up
from simulator.added_up import OFFICES, VAT, Offices, rows_of, sums_of
from simulator.owner import APPROVERS
from simulator.sample import Approved
from simulator.tabled import COUNT, SIZES, numbers

PRIME = 2**128 - 159


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """Give a room whose offices stay in their first period."""
    made = Offices.make(tmp_path_factory.mktemp("offices"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def counted(room: Offices) -> Approved:
    """Give a sum of counts and amounts."""
    return room.approved("paid", sums_of(COUNT, VAT, epsilon="10"))


def reasons(
    room: Offices, of: Approved, periods: tuple[OwnersPeriod, ...] | None = None
) -> dict[str, Reason | None]:
    """Ask, about the periods that offices are in or others, and tell why each refused."""
    about = room.periods() if periods is None else periods
    words = room.said(room.ask(room.request(of, periods=about)))
    return {name: said.reason for name, said in words.items()}


def test_the_total_is_near_the_truth_and_counts_add_up(room: Offices, counted: Approved) -> None:
    told = room.summed(counted)
    assert [each.measure.kind for each in told] == [MeasureKind.COUNT] * 2 + [MeasureKind.SUM] * 2
    assert [each.columns for each in told] == [(), ("size",)] * 2
    rows = [row for at in range(3) for row in rows_of(at)]
    for size in SIZES:
        theirs = [row.vat for row in rows if row.size == size]
        # Three offices' noise: scales of 3 / 5 firms, and of 30,000 / 5.
        assert float(numbers(told[1])[size,] or "nan") == pytest.approx(len(theirs), abs=40)
        assert float(numbers(told[3])[size,] or "nan") == pytest.approx(sum(theirs), abs=400_000)


def test_two_of_three_shares_are_uniform_numbers_and_no_number_stands_twice(
    room: Offices, counted: Approved
) -> None:
    request = room.request(counted)
    given = room.shares(request, room.ask(request))
    values = {
        name: [one.value for table in each.tables() for one in table]
        for name, each in given.items()
    }
    assert len({value for each in values.values() for value in each}) == 3 * len(values["east"])
    for left_out in OFFICES:
        kept = [each for name, each in values.items() if name != left_out]
        for cell in zip(*kept, strict=True):
            total = sum(cell) % MODULUS
            assert min(total, MODULUS - total) > 2**64
    with pytest.raises(SafeRoomError) as caught:
        add_up({name: given[name] for name in OFFICES[:2]}, room.plan(counted))
    assert caught.value.reason is Reason.BAD_PROOF


def test_shares_of_two_requests_do_not_add_up_and_each_request_has_its_own(
    room: Offices, counted: Approved
) -> None:
    one, other = room.request(counted), room.request(counted)
    first, second = (room.shares(each, room.ask(each)) for each in (one, other))
    assert all(first[name].shares != second[name].shares for name in OFFICES)
    # The numbers were made once: both sums are the same, so nobody averages noise away.
    assert add_up(first, room.plan(counted)) == add_up(second, room.plan(counted))
    with pytest.raises(SafeRoomError) as caught:
        add_up({**first, "west": second["west"]}, room.plan(counted))
    assert caught.value.reason is Reason.BAD_PROOF


def test_a_repeat_gets_the_same_bytes_also_after_a_kill_and_a_pause(
    room: Offices, counted: Approved
) -> None:
    request = room.request(counted)
    before = room.ask(request)
    room.enclaves["north"].kill()
    room.enclaves["north"].follow()
    room.owners["west"].pause(counted.template)
    room.follow()
    assert room.ask(request) == before
    assert reasons(room, counted) == {"east": None, "north": None, "west": Reason.PAUSED}
    room.world.clock.advance(1)
    for approver in APPROVERS[:2]:
        room.owners["west"].pause(counted.template, paused=False, approver=approver)
    room.follow()


def test_every_owner_charges_its_own_ledger_once_for_a_plan(room: Offices) -> None:
    of = room.approved("charged", sums_of(epsilon="0.5"))
    priced = room.said(room.ask(room.request(of, price=True, periods=())))
    assert {said.reason for said in priced.values()} == {Reason.PRICE_ONLY}
    assert {said.store.epoch for said in priced.values() if said.store} == {1}
    for charged in ("0.5", "0"):
        words = room.said(room.ask(room.request(of)))
        spent = [said.privacy for said in words.values() if isinstance(said.privacy, PrivacySpent)]
        assert [each.charged for each in spent] == [Decimal(charged)] * 3


def test_an_owner_that_refuses_leaves_nothing_to_add_up(room: Offices) -> None:
    of = room.approved("not-by-west", sums_of(), "east", "north")
    request = room.request(of)
    judged = room.ask(request)
    assert {name: said.reason for name, said in room.said(judged).items()} == {
        "east": None,
        "north": None,
        "west": Reason.NOT_APPROVED,
    }
    with pytest.raises(SafeRoomError) as caught:
        add_up(room.shares(request, judged), room.plan(of))
    assert caught.value.reason is Reason.BAD_PROOF
    # Its receipt says who refused, and the asker is told what the others charged.
    verified = verify_sum_receipt(room.receipt(of, request, judged), room.world.trust())
    assert (verified.tables, verified.refused and verified.refused.owner) == (None, "west")
    assert [note.partition(" charged")[0] for note in charged_notes(verified)] == ["east", "north"]


def test_a_receipt_of_a_price_names_the_owner_that_would_refuse_and_none_that_would_not(
    room: Offices,
) -> None:
    of = room.approved("priced-not-by-west", sums_of(), "east", "north")
    request = room.request(of, price=True)
    receipt = room.receipt(of, request, room.ask(request))
    words = verify_sum_receipt(receipt, room.world.trust()).words
    assert words["east"].release.reason is Reason.PRICE_ONLY
    document = shown_sum(receipt, room.world.trust()).document
    assert isinstance(document, dict)
    assert document["refused_by"] == "west"


def test_of_the_same_records_no_table_is_told_alone(room: Offices, counted: Approved) -> None:
    """A sum less the tables of all owners but one would be that one's cells."""
    room.summed(counted)
    alone = sums_of().of("east")
    template, certificate = room.bank.tables("alone", alone)
    room.owners["east"].approve(template, certificate.digest)
    room.follow()
    asked = room.bank.table_request(template, certificate)
    said = room.said({"east": room.enclaves["east"].tabulate(asked)})
    assert said["east"].reason is Reason.CONFLICT


def test_a_sum_is_asked_about_all_periods_and_about_each_owners_own(
    room: Offices, counted: Approved
) -> None:
    assert reasons(room, counted, periods=room.periods(west=2))["west"] is Reason.CONFLICT
    for odd in ((), room.periods()[:2]):
        assert set(reasons(room, counted, periods=odd).values()) == {Reason.MALFORMED}


@pytest.mark.parametrize("left", [("east",), ("east", "north")])
def test_no_enclave_hides_among_fewer_than_all_owners(
    room: Offices, counted: Approved, left: tuple[str, ...]
) -> None:
    whole = load(counted.certificate, ReleaseCertificate)
    cut = whole.model_copy(update={"parts": tuple(map(whole.part, left))})
    certificate = room.world.publish(seal_statement(cut, room.bank.key))
    room.owners["east"].approve(counted.template, certificate.digest)
    room.follow()
    few = Approved(counted.template, certificate)
    asked = room.said({"east": room.enclaves["east"].tabulate(room.request(few))})
    assert asked["east"].reason is Reason.CERTIFICATE_MISMATCH


def test_another_bank_of_the_group_is_told_the_same_numbers_and_opens_only_its_own(
    room: Offices, counted: Approved
) -> None:
    other = room.banks[1]
    assert room.summed(counted, other) == room.summed(counted)
    request = room.request(counted, other)
    judged = room.ask(request)
    with pytest.raises(SafeRoomError) as caught:
        room.shares(request, judged, room.bank)
    assert caught.value.reason is Reason.BAD_SEAL


def test_who_knows_a_part_itself_is_told_no_sum_of_the_two_others(room: Offices) -> None:
    """An owner that asks has its own cells; so has a bank that shares what it learns with one."""
    office = room.banks[3]
    assert office.name == "north"
    of = room.approved("of-its-own", sums_of(), bank=office)
    for price in (True, False):
        asked = room.request(of, office, price=price)
        said = room.said(room.ask(asked))
        assert {each.reason for each in said.values()} == {Reason.NOT_ALLOWED}


def test_another_implementation_takes_the_shares_apart_with_the_keys_and_nobody_without(
    room: Offices, counted: Approved
) -> None:
    """What hides an office's cells is X25519, HKDF and HMAC as ADR 54 writes them down."""
    request = room.request(counted)
    shares = room.shares(request, room.ask(request))
    east, charters = room.owners["east"], {name: each.charter for name, each in room.owners.items()}
    hidden = next(iter(shares["east"].tables()))[0].value
    place = b"saferoom sum of tables place v1\n" + bytes.fromhex(request.digest.split(":")[1])
    for name in ("north", "west"):
        secret = east.pairing.exchange(
            X25519PublicKey.from_public_bytes(unb64(charters[name].charter.pairing))
        )
        pair = sorted((each, charters[each].digest) for each in ("east", name))
        words = [room.world.room, *(word for each in pair for word in each), f"{PRIME:x}"]
        info = b"saferoom conjunction between v1\n" + "\n".join(words).encode()
        key = HKDF(SHA256(), 32, salt=None, info=info).derive(secret)
        mac = HMAC(key, SHA256())
        mac.update(place + bytes(8))
        hidden -= int.from_bytes(mac.finalize(), "big")
    # What is left is the office's own total, with its noise: a scale of three firms.
    left = hidden % PRIME
    assert abs((left if left < PRIME // 2 else left - PRIME) - len(rows_of(0))) < 200


def test_a_receipt_of_all_owners_verifies_offline_and_none_that_was_altered(
    room: Offices, counted: Approved
) -> None:
    one, other = room.request(counted), room.request(counted)
    judged, others = room.ask(one), room.ask(other)
    receipt, second = room.receipt(counted, one, judged), room.receipt(counted, other, others)
    trust = room.world.trust()
    verified = verify_sum_receipt(SumReceipt.from_json(receipt.to_json()), trust)
    assert tuple(verified.words) == OFFICES
    assert verified.tables == add_up(room.shares(one, judged), room.plan(counted))
    east, north, west = receipt.parts

    def altered(**changes: object) -> Reason:
        with pytest.raises(SafeRoomError) as caught:
            verify_sum_receipt(receipt.model_copy(update=changes), trust)
        return caught.value.reason

    def with_west(**changes: object) -> Reason:
        return altered(parts=(east, north, west.model_copy(update=changes)))

    # Another owner's shares, another request's, none, more than none of a refusal.
    assert with_west(shares=east.shares) is Reason.BAD_PROOF
    assert with_west(shares=second.parts[2].shares) is Reason.BAD_PROOF
    assert with_west(shares=None) is Reason.BAD_PROOF
    # Another request's word; a part twice in the place of another's; the parts of two.
    assert altered(parts=(east, north, second.parts[2])) is Reason.BAD_PROOF
    assert altered(parts=(east, north, north)) is Reason.UNKNOWN_FEATURE
    assert altered(parts=(east, north, west, west)) is Reason.CERTIFICATE_MISMATCH
    assert altered(request=second.request) is Reason.BAD_PROOF
    assert with_west(approvals=west.approvals[:1]) is Reason.NOT_APPROVED
    assert with_west(agreement=east.agreement) is Reason.BAD_CHARTER


def test_a_refused_sum_has_a_receipt_too_and_it_tells_no_number(
    room: Offices, counted: Approved
) -> None:
    request = room.request(counted, periods=room.periods(west=2))
    verified = verify_sum_receipt(
        room.receipt(counted, request, room.ask(request)), room.world.trust()
    )
    assert verified.tables is None
    assert verified.refused is not None
    assert verified.refused.reason is Reason.CONFLICT


def test_a_receipt_of_all_owners_verifies_over_a_handover_of_the_logs_key(
    room: Offices, counted: Approved
) -> None:
    world, request = room.world, room.request(counted)
    judged, former, following = room.ask(request), world.ledger.key, SigningKey.generate()
    before = room.receipt(counted, request, judged)
    trust = world.trust_after(world.hand_over_log(following))
    world.ledger.signers = (following,)
    after = room.receipt(counted, request, judged)
    world.ledger.signers = (former,)
    late = room.receipt(counted, request, judged)
    for receipt in (before, after):
        assert verify_sum_receipt(receipt, trust).tables is not None
    for receipt, pinned in (
        (after, world.trust()),
        (late, trust),
        (before, trust.model_copy(update={"former_ledger_keys": ()})),
    ):
        with pytest.raises(SafeRoomError) as refused:
            verify_sum_receipt(receipt, pinned)
        assert refused.value.reason is Reason.BAD_SIGNATURE
