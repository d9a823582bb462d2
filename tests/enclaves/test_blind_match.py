"""A blind match: the enclave never learns what was stated, the asker only whether it is held."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import gmpy2
import pytest

from saferoom_enclaves.children.jobs import MakeKey
from saferoom_enclaves.children.match_keys import match_key
from saferoom_enclaves.offers import KeyPool, MatchKey
from saferoom_proto.answer import Truth
from saferoom_proto.blind import CIPHERTEXT_BYTES, MODULUS_BITS, Offer, matched
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.stated import in_form, tag_of
from saferoom_proto.statements import Returns
from saferoom_proto.statements.feature import StatedForm
from saferoom_proto.statements.request import BlindMatch
from simulator import Approved, SimBank
from simulator.harness import Verdict
from tests.enclaves.test_commits_that_fail import failing_disk, of
from tests.enclaves.test_stated_values import FEATURES, PHONE, Stating, stating

HELD_BY_2, OTHER = "138 0013 8000", "13900139000"
PATIENCE_SECONDS = 60


def quickly(offer: Offer, tag: bytes) -> bytes:
    """Match as a client does, by quicker arithmetic than Python's own."""
    return matched(offer, tag, gmpy2.powmod)


@dataclass(slots=True)
class Blind:
    """The room where values are stated, and a template by which they are matched blindly."""

    room: Stating
    check: Approved

    def first(
        self, serial: int, bank: SimBank | None = None, match: BlindMatch | None = None
    ) -> Envelope:
        """Sign the first message about a firm, or with a match the second one."""
        asker, subject = bank or self.room.said.bank, self.room.said.world.subject(serial)
        return asker.request(subject, self.check.template, self.check.certificate, match=match)

    def offered(self, question: Envelope) -> Offer:
        """Have an offer made, as soon as there is a key."""
        offer = self.judged(question).offer
        assert offer is not None
        return offer

    def judged(self, question: Envelope) -> Verdict:
        """Have a message judged, as soon as there is a key."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.room.enclave.ask(question)
            except SafeRoomError as error:
                if error.reason is not Reason.UNAVAILABLE or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def second(self, serial: int, first: Envelope, ciphertext: bytes) -> Envelope:
        """Sign the second message."""
        match = BlindMatch(offer=first.digest, ciphertext=b64(ciphertext))
        return self.first(serial, match=match)

    def told(self, serial: int, value: str) -> Truth | Reason | None:
        """Match a value, both messages."""
        first = self.first(serial)
        verdict = self.judged(first)
        if verdict.offer is None:
            return verdict.reason
        ciphertext = quickly(verdict.offer, tag_of(in_form(value, StatedForm.DIGITS)))
        answer = self.room.enclave.ask(self.second(serial, first, ciphertext))
        return answer.truth or answer.reason


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Generator[Blind]:
    """Open the room once; each test asks about subjects of its own."""
    with stating(tmp_path_factory.mktemp("blind")) as room:
        check = room.said.approved("blind", "tax.phone = :number", returns=Returns.BLIND)
        room.enclave.follow()
        yield Blind(room, check)


@pytest.fixture(scope="module")
def key() -> MatchKey:
    """Have a key made as a child of an enclave makes it."""
    made = match_key(MakeKey(bits=MODULUS_BITS))
    return MatchKey.of(int(made.p, 16), int(made.q, 16), int(made.mask, 16))


def test_only_whether_the_value_is_held_is_told(blind: Blind) -> None:
    assert blind.told(20, HELD_BY_2) is Truth.YES
    assert blind.told(20, OTHER) is Truth.NO
    assert blind.told(9, HELD_BY_2) is Truth.NOT_FOUND


def test_every_offer_counts_as_another_value_and_the_second_message_costs_nothing(
    blind: Blind,
) -> None:
    first = blind.first(21)
    offer = blind.judged(first)
    assert offer.offer is not None
    answer = blind.room.enclave.ask(
        blind.second(21, first, quickly(offer.offer, tag_of("13800138000")))
    )
    (paid,), (repeated,) = offer.release.charges, answer.release.charges
    assert (paid.cells_before, paid.cells_after) == (1, 3)
    assert (repeated.cells_before, repeated.cells_after) == (3, 3)
    # Three a day, whether or not the second message comes, and whatever is stated openly beside.
    assert blind.judged(blind.first(21)).offer is not None
    assert blind.room.told(21, OTHER) is Truth.NO
    assert blind.judged(blind.first(21)).reason is Reason.OVER_BUDGET


def test_what_cannot_be_paid_takes_no_key_from_those_who_can_pay(
    blind: Blind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one bank over its budget would leave no key to anybody."""
    taken: list[MatchKey] = []
    take = KeyPool.take

    def counted(pool: KeyPool) -> MatchKey:
        taken.append(take(pool))
        return taken[-1]

    monkeypatch.setattr(KeyPool, "take", counted)
    for _ in range(3):
        blind.offered(blind.first(29))
    assert len(taken) == 3
    assert blind.room.enclave.ask(blind.first(29)).reason is Reason.OVER_BUDGET
    assert len(taken) == 3


def test_a_repeat_of_either_message_gets_the_same_bytes(blind: Blind) -> None:
    enclave, first = blind.room.enclave, blind.first(22)
    offer = blind.judged(first)
    assert enclave.judge(first) == offer.judged
    assert offer.offer is not None
    second = blind.second(22, first, quickly(offer.offer, tag_of("13800138000")))
    answer = enclave.ask(second)
    assert answer.truth is Truth.YES
    assert enclave.judge(second) == answer.judged
    assert enclave.judge(first) == offer.judged


def test_an_answer_that_was_not_committed_leaves_its_offer_open(blind: Blind) -> None:
    """It was told to nobody, and whoever paid for the offer may have it yet."""
    enclave, first, unkept = blind.room.enclave, blind.first(2), blind.first(2)
    offer = blind.offered(first)
    second = blind.second(2, first, quickly(offer, tag_of("13800138000")))
    for question in (second, unkept):
        with failing_disk(enclave):
            blind.judged(question)
    still = of(enclave).offers._open
    assert first.digest in still
    assert unkept.digest not in still
    assert enclave.ask(second).truth is Truth.YES
    assert first.digest not in still


def test_a_key_serves_for_one_answer(blind: Blind) -> None:
    """With more, an asker would try one value after the other for the price of one."""
    enclave, first = blind.room.enclave, blind.first(23)
    offer = blind.offered(first)
    assert enclave.ask(blind.second(23, first, quickly(offer, tag_of("1")))).truth is Truth.NO
    again = blind.second(23, first, quickly(offer, tag_of("13800138000")))
    assert enclave.ask(again).reason is Reason.EXPIRED
    assert blind.offered(blind.first(23)).modulus != offer.modulus


@pytest.mark.parametrize("number", [0, 1], ids=["zero", "the modulus"])
def test_what_is_no_ciphertext_is_refused_and_tells_no_factor(blind: Blind, number: int) -> None:
    enclave, serial = blind.room.enclave, 24 + number
    first = blind.first(serial)
    offer = blind.offered(first)
    wrong = (offer.modulus * number).to_bytes(CIPHERTEXT_BYTES, "big")
    assert enclave.ask(blind.second(serial, first, wrong)).reason is Reason.OFF_DOMAIN
    # It was refused before the key was touched: the asker may go on.
    right = quickly(offer, tag_of("13800138000"))
    assert enclave.ask(blind.second(serial, first, right)).truth is Truth.YES


def test_an_offer_is_its_askers_and_its_subjects_alone(blind: Blind) -> None:
    enclave, said = blind.room.enclave, blind.room.said
    first = blind.first(26)
    ciphertext = quickly(blind.offered(first), tag_of("13800138000"))
    assert enclave.ask(blind.second(27, first, ciphertext)).reason is Reason.EXPIRED
    match = BlindMatch(offer=first.digest, ciphertext=b64(ciphertext))
    theirs = blind.first(26, said.other_bank, match=match)
    assert enclave.ask(theirs).reason is Reason.EXPIRED
    openly = said.bank.request(
        said.world.subject(26),
        blind.room.checks["phone"].template,
        blind.room.checks["phone"].certificate,
        {"number": OTHER},
        match=match,
    )
    assert enclave.ask(openly).reason is Reason.EXPIRED
    assert enclave.ask(blind.second(26, first, ciphertext)).truth is Truth.YES


def test_a_value_that_is_stated_all_the_same_is_refused(blind: Blind) -> None:
    said = blind.room.said
    told = said.bank.request(
        said.world.subject(28), blind.check.template, blind.check.certificate, {"number": OTHER}
    )
    assert blind.room.enclave.ask(told).reason is Reason.OFF_DOMAIN


def test_what_the_enclave_decrypts_tells_nothing_of_what_was_stated(key: MatchKey) -> None:
    """It reads r * (x - v), with another r each time; and 0 just for what is held."""
    held, other = tag_of("13800138000"), tag_of("13900139000")
    offer = key.offer(held)

    def read(tag: bytes) -> int:
        return key.private.raw_decrypt(int.from_bytes(quickly(offer, tag), "big"))

    bare = (int.from_bytes(held, "big") - int.from_bytes(other, "big")) % key.modulus
    once, again = read(other), read(other)
    assert len({0, bare, once, again}) == 4
    for number in (once, again):
        # Uniform: neither it nor its negative is anywhere near the tags, as a small r would leave.
        assert min(number, key.modulus - number).bit_length() > key.modulus.bit_length() - 128
    assert read(held) == 0


def test_two_messages_about_one_value_differ_also_where_it_is_held(key: MatchKey) -> None:
    offer = key.offer(tag_of("13800138000"))
    assert len({quickly(offer, tag_of("13800138000")) for _ in range(2)}) == 2


def test_a_modulus_or_a_ciphertext_that_nobody_honest_makes_is_refused(key: MatchKey) -> None:
    offer = key.offer(tag_of("1"))
    lies = {
        "not a modulus": (offer.modulus // 2 * 2, offer.ciphertext),
        "no ciphertext": (offer.modulus, offer.modulus),
    }
    for detail, (modulus, ciphertext) in lies.items():
        with pytest.raises(SafeRoomError) as refused:
            Offer(modulus, ciphertext)
        assert refused.value.reason is Reason.MALFORMED
        assert detail in refused.value.detail


def test_an_offer_ends_with_a_restart_a_load_or_its_window(tmp_path: Path) -> None:
    with stating(tmp_path) as room:
        check = room.said.approved("blind", "tax.phone = :number", returns=Returns.BLIND)
        room.said.world.subject(15).give(room.said.bank, (*FEATURES, PHONE), uses=1)
        room.enclave.follow()
        blind = Blind(room, check)
        # One use of a consent is both messages.
        assert blind.told(15, OTHER) is Truth.NOT_FOUND
        assert blind.judged(blind.first(15)).reason is Reason.CONSENT_USED_UP
        ends = {
            1: room.enclave.restart,
            2: room.load,
            3: lambda: room.said.world.clock.advance(601),
        }
        for serial, end in ends.items():
            first = blind.first(serial)
            judged = blind.judged(first)
            end()
            room.enclave.follow()
            second = blind.second(serial, first, secrets.token_bytes(CIPHERTEXT_BYTES))
            assert room.enclave.ask(second).reason is Reason.EXPIRED
            assert room.enclave.judge(first) == judged.judged
