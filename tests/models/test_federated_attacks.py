"""A lying aggregator, lying banks and both together, against banks that train together."""

from __future__ import annotations

import itertools

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_models.arrays import Floats
from saferoom_models.horizontal import masks, messages, shamir
from saferoom_models.horizontal.messages import AGGREGATOR, Due, Kind, set_of, write, write_set
from saferoom_models.horizontal.sums import own_moments, own_newton
from saferoom_models.horizontal.unmasking import read_words, write_words
from saferoom_models.refusals import Refusal
from tests.models.federated import (
    Federation,
    draw_rows,
    federation,
    key_of,
    make_terms,
    name_of,
    refusal,
)

HEAD, SIGNATURE = 50, 64


def due(made: Federation) -> Due:
    """Say what is due in the round that all are in."""
    return made.aggregator._course.due


def lie(made: Federation, kind: Kind, body: bytes) -> bytes:
    """Write an answer as the aggregator may: it signs nothing."""
    return write(due(made), kind, AGGREGATOR, body, None)


def body_of(message: bytes, *, signed: bool = True) -> bytes:
    return message[HEAD : -SIGNATURE if signed else None]


# What is seen.


def test_what_a_bank_sends_is_uniform_and_tells_nothing_of_its_numbers() -> None:
    """Chi-square over the bytes of all masked numbers, with fixed randomness."""
    made = federation((500,) * 5)
    made.run()
    masked = b"".join(
        body_of(message) for message in made.up if message[6:8] == Kind.MASKED.to_bytes(2)
    )
    counts = np.bincount(np.frombuffer(masked, np.uint8), minlength=256)
    expected = len(masked) / 256
    square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(square - 255) < 5 * np.sqrt(2 * 255)


def test_under_some_masks_every_other_number_would_have_given_the_same_message() -> None:
    """The masks do not depend on the numbers: message less numbers is one thing, whatever these."""
    first = federation((500, 500, 500))
    rows = dict(first.rows)
    rows[name_of(0)] = draw_rows(500, 4711)
    second = Federation(first.terms, rows)
    left: list[masks.Words] = []
    for made in (first, second):
        made.until(0, Kind.MASKED)
        bank = made.banks[name_of(0)]
        left.append(read_words(body_of(bank.waiting)) - own_moments(bank._rows))
    assert (left[0] == left[1]).all()


@settings(max_examples=10, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(3, 50), st.integers(0, 1000))
def test_a_secret_comes_back_from_enough_shares_and_fewer_fit_every_other_secret(
    secret: bytes, holders: int, seed: int
) -> None:
    threshold = 2 * holders // 3 + 1
    shares = dict(
        enumerate(shamir.split(secret, holders, threshold, np.random.default_rng(5).bytes))
    )
    chosen = np.random.default_rng(seed).permutation(holders)[:threshold].tolist()
    assert shamir.join({place: shares[place] for place in chosen}) == secret
    # With one share fewer, some value of the missing one gives any other secret.
    missing, *others = chosen
    nothing = _at_zero({place: shares[place] for place in others} | {missing: 0})
    one = _at_zero({place: shares[place] for place in others} | {missing: 1})
    wanted = int.from_bytes(bytes(31) + b"\x2a")
    fitting = (wanted - nothing) * pow(one - nothing, -1, shamir.PRIME) % shamir.PRIME
    assert (
        int.from_bytes(shamir.join({place: shares[place] for place in others} | {missing: fitting}))
        == wanted
    )


def _at_zero(shares: dict[int, int]) -> int:
    total = 0
    for holder, share in shares.items():
        part = share
        for other in shares:
            if other != holder:
                part = part * (other + 1) * pow(other - holder, -1, shamir.PRIME)
        total += part
    return total % shamir.PRIME


# A lying aggregator.


def test_both_shares_of_one_bank_are_never_asked_out_of_another() -> None:
    """Told that bank 4 survived, a bank opens its seed; told then that it is gone, nothing."""
    made = federation((500,) * 5)
    made.until(0, Kind.OPENED)
    bank = made.banks[name_of(0)]
    opened = bank.waiting
    everyone, without = set_of(range(5)), set_of(range(4))
    for kind, body in (
        (Kind.SURVIVORS, write_set(without)),
        (Kind.CONFIRMATIONS, write_set(without) + b"".join(made.up[-4:])),
    ):
        assert refusal(bank.answer, lie(made, kind, body)).reason is Refusal.REPLAYED
    assert bank.waiting == opened
    assert bank._round.held.survivors == everyone


def test_two_sets_told_to_two_groups_are_noticed_before_a_share_is_opened() -> None:
    made = federation((500,) * 5)
    made.until(0, Kind.MASKED)
    made.send()
    everyone, without = set_of(range(5)), set_of(range(4))
    for name, bank in made.banks.items():
        told = everyone if name in {name_of(0), name_of(1), name_of(4)} else without
        if told >> made.terms.place(name) & 1:
            bank.answer(lie(made, Kind.SURVIVORS, write_set(told)))
    signed = {name: bank.waiting for name, bank in made.banks.items()}
    mixed = set_of((0, 1, 2, 3))
    answer = write_set(mixed) + b"".join(signed[name_of(place)] for place in range(4))
    for place in (0, 2):
        assert (
            refusal(made.banks[name_of(place)].answer, lie(made, Kind.CONFIRMATIONS, answer)).reason
            is Refusal.OTHER_SET
        )
    few = write_set(set_of((0, 1, 4))) + b"".join(signed[name_of(each)] for each in (0, 1, 4))
    assert (
        refusal(made.banks[name_of(0)].answer, lie(made, Kind.CONFIRMATIONS, few)).reason
        is Refusal.TOO_FEW_MEMBERS
    )


def test_a_signature_of_one_bank_does_not_count_twice() -> None:
    made = federation((500,) * 5)
    made.until(0, Kind.CONFIRMED)
    own = made.banks[name_of(0)].waiting
    body = write_set(set_of(range(4))) + own * 4
    assert (
        refusal(made.banks[name_of(0)].answer, lie(made, Kind.CONFIRMATIONS, body)).reason
        is Refusal.NOT_SIGNED
    )


def test_sets_that_are_too_small_near_the_last_or_grow_again_are_not_signed() -> None:
    made = federation((400,) * 10)
    made.until(1, Kind.MASKED)
    made.send()
    bank = made.banks[name_of(0)]
    for told, reason in (
        (set_of(range(9)), Refusal.NEAR_SETS),
        (set_of(range(7)), Refusal.NEAR_SETS),
        (set_of(range(6)), Refusal.TOO_FEW_MEMBERS),
        (set_of(range(1, 10)), Refusal.LEFT_OUT),
        (set_of(range(11)), Refusal.OUT_OF_RANGE),
        (1 << 63 | set_of(range(10)), Refusal.OUT_OF_RANGE),
    ):
        assert refusal(bank.answer, lie(made, Kind.SURVIVORS, write_set(told))).reason is reason
    bank.answer(lie(made, Kind.SURVIVORS, write_set(set_of(range(10)))))


def test_another_sum_than_the_banks_gave_is_refused_by_each() -> None:
    made = federation()
    made.until(0, Kind.OPENED)
    made.send()
    made.aggregator.close()
    name, bank = name_of(0), made.banks[name_of(0)]
    right = made.aggregator.answer(name)
    at = HEAD + 8 + HEAD + 3  # within the first bank's masked numbers
    spoilt = bytearray(right)
    spoilt[at] ^= 1
    assert refusal(bank.answer, bytes(spoilt)).reason is Refusal.NOT_SIGNED
    spoilt = bytearray(right)
    spoilt[-1] ^= 1
    assert refusal(bank.answer, bytes(spoilt)).reason is Refusal.BAD_SHARE
    assert bank.round == 0
    bank.answer(right)
    assert bank.round == 1


def test_a_model_for_one_bank_alone_cannot_be_told() -> None:
    """Two trainings of the same banks that differ in one row: no message of one is the other's.

    So a bank's numbers under one model are never added to others' under another (Pasquini and
    others, Eluding secure aggregation in federated learning via model inconsistency, CCS 2022).
    """
    first = federation((500, 600, 700))
    rows = dict(first.rows)
    rows[name_of(0)] = draw_rows(500, 4711)
    second = Federation(first.terms, rows)
    for made in (first, second):
        made.until(1, Kind.KEYS)
        made.send()
    assert (
        refusal(first.aggregator.take, second.banks[name_of(2)].waiting).reason
        is Refusal.OTHER_TERMS
    )
    keys = [first.banks[name_of(0)].waiting, first.banks[name_of(1)].waiting]
    peers = write_set(7) + b"".join([*keys, second.banks[name_of(2)].waiting])
    assert (
        refusal(first.banks[name_of(0)].answer, lie(first, Kind.PEERS, peers)).reason
        is Refusal.OTHER_TERMS
    )


def test_a_round_cannot_be_played_again() -> None:
    made = federation()
    made.until(1, Kind.KEYS)
    old = list(made.down)
    for name, answer in old:
        assert refusal(made.banks[name].answer, answer).reason is Refusal.REPLAYED
    made.step()
    for message in made.up[:3]:
        assert refusal(made.aggregator.take, message).reason is Refusal.REPLAYED


def test_keys_that_are_foreign_weak_repeated_or_altered_are_refused() -> None:
    made = federation()
    made.send()
    bank = made.banks[name_of(0)]
    own, other, third = (made.banks[name_of(place)].waiting for place in range(3))

    def peers(*those: bytes) -> bytes:
        return lie(made, Kind.PEERS, write_set(7) + b"".join(those))

    def signed(place: int, body: bytes, key: Ed25519PrivateKey) -> bytes:
        return write(due(made), Kind.KEYS, place, body, key)

    stranger = Ed25519PrivateKey.from_private_bytes(bytes([99]) * 32)
    weak = bytes(32) + body_of(third)[32:]
    for those, reason in (
        ((own, other, signed(2, body_of(third), stranger)), Refusal.NOT_SIGNED),
        ((own, third, other), Refusal.NOT_SIGNED),
        ((own, other, other), Refusal.NOT_SIGNED),
        ((own, other, signed(2, weak, key_of(2))), Refusal.BAD_POINT),
        ((own, other, signed(2, body_of(other), key_of(2))), Refusal.REPEATED_POINT),
        ((signed(0, body_of(own)[:64] + bytes(32), key_of(0)), other, third), Refusal.NOT_SIGNED),
        ((own, other), Refusal.WRONG_SHAPE),
        ((own, other, third, b"\0"), Refusal.WRONG_SHAPE),
    ):
        assert refusal(bank.answer, peers(*those)).reason is reason
    bank.answer(peers(own, other, third))


def test_shares_that_were_sealed_for_another_are_refused() -> None:
    made = federation()
    made.until(0, Kind.SHARES)
    made.send()
    made.aggregator.close()
    for_first = made.aggregator.answer(name_of(0))
    assert refusal(made.banks[name_of(1)].answer, for_first).reason is Refusal.BAD_CIPHERTEXT


# Lying banks.


def test_a_bank_that_deals_a_wrong_share_is_named_by_its_holder() -> None:
    made = federation()
    made.until(0, Kind.SHARES)
    liar = made.banks[name_of(1)]
    body = bytearray(body_of(liar.waiting))
    body[-1] ^= 1  # its commitment to the third bank's share
    liar.waiting = write(due(made), Kind.SHARES, 1, bytes(body), key_of(1))
    made.send()
    made.aggregator.close()
    found = refusal(made.banks[name_of(2)].answer, made.aggregator.answer(name_of(2)))
    assert str(found).startswith("BAD_SHARE: bank-01 dealt another share")


def test_a_share_that_was_not_dealt_is_refused_and_the_right_one_may_still_come() -> None:
    made = federation()
    made.until(0, Kind.OPENED)
    right = made.banks[name_of(1)].waiting
    body = bytearray(body_of(right))
    body[5] ^= 1
    wrong = write(due(made), Kind.OPENED, 1, bytes(body), key_of(1))
    found = refusal(made.aggregator.take, wrong)
    assert str(found).startswith("BAD_SHARE: a share of bank-00's secret")
    made.send()
    made.aggregator.close()
    assert made.aggregator.round == 1


def test_numbers_that_no_rows_come_to_end_the_training() -> None:
    made = federation()
    made.until(0, Kind.MASKED)
    liar = made.banks[name_of(1)]
    words = read_words(body_of(liar.waiting))
    words[1] += np.uint64(1 << 40)  # as many rows
    liar.waiting = write(due(made), Kind.MASKED, 1, write_words(words), key_of(1))
    made.send()
    made.aggregator.close()
    made.receive()
    made.step()
    made.send()
    assert refusal(made.aggregator.close).reason is Refusal.OUT_OF_RANGE


def test_masks_that_do_not_come_off_are_noticed() -> None:
    made = federation()
    made.until(0, Kind.MASKED)
    liar = made.banks[name_of(1)]
    noise = np.frombuffer(np.random.default_rng(1).bytes(8 * made.terms.moments_size), np.uint64)
    liar.waiting = write(due(made), Kind.MASKED, 1, write_words(noise), key_of(1))
    made.send()
    made.aggregator.close()
    made.receive()
    made.step()
    made.send()
    assert refusal(made.aggregator.close).reason is Refusal.OTHER_SUM


def test_weights_that_single_rows_out_get_no_numbers() -> None:
    """A bank that steers the model to a steep edge through few rows gets no sum over these."""
    values = np.hstack([np.random.default_rng(2).normal(size=(2000, 3)), np.ones((2000, 1))])
    labels = np.zeros(2000, np.int64)
    farthest = float(np.sort(values[:, 0])[-3])
    at_the_edge: Floats = np.array([300.0, 0, 0, -300 * farthest])
    in_the_middle: Floats = np.array([300.0, 0, 0, 0])
    saturated: Floats = np.array([0.0, 0, 0, 900.0])
    for weights in (at_the_edge, in_the_middle, saturated):
        assert refusal(own_newton, values, labels, weights).reason is Refusal.THIN_SUM
    own_newton(values, labels, np.array([1.0, -1.0, 0.5, -3.0]))


# Whatever comes.


def test_mutated_messages_are_refused_and_change_nothing() -> None:
    made = federation()
    draw = np.random.default_rng(11)
    for _, _step in zip(range(10), itertools.count(), strict=False):
        for name, bank in made.banks.items():
            if not bank.waiting:
                bank.begin()
            for spoilt in _spoil(bank.waiting, draw):
                assert refusal(made.aggregator.take, spoilt)
            made.aggregator.take(bank.waiting)
            assert name not in made.aggregator.missing
        made.aggregator.close()
        for name, bank in made.banks.items():
            answer, before = made.aggregator.answer(name), bank.save()
            for spoilt in _spoil(answer, draw):
                assert refusal(bank.answer, spoilt)
            assert bank.save() == before
            bank.answer(answer)


def _spoil(message: bytes, draw: np.random.Generator) -> list[bytes]:
    spoilt = [b"", message[:-1], message + b"\0", message[: len(message) // 2]]
    for at in (*draw.integers(len(message), size=2), *draw.integers(HEAD, size=2)):
        changed = bytearray(message)
        changed[at] ^= 1 << int(draw.integers(8))
        spoilt.append(bytes(changed))
    return spoilt


def test_a_message_longer_than_any_is_not_read() -> None:
    made = federation()
    largest = messages.largest_message(made.terms)
    made.run()
    assert max(map(len, [*made.up, *(answer for _, answer in made.down)])) <= largest
    fresh = federation()
    fresh.send()
    assert refusal(fresh.aggregator.take, bytes(largest + 1)).reason is Refusal.WRONG_SIZE
    assert make_terms(50).threshold == 34
