"""What a hostile side may send in an alignment is refused by name, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saferoom_models.psi import messages, points
from saferoom_models.psi.label_set import LabelSet
from saferoom_models.psi.messages import AlignmentKind
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal

JOB = "7e" * 32
OWN = [f"firm-{number}" for number in range(100)]
THEIRS = [f"firm-{number}" for number in range(60, 180)]
TERMS = AlignmentTerms(JOB, len(OWN), room_most=150)

# The points of small order, in their shortest form: 0, 1, two of order 8, and p - 1.
SMALL = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (points.P - 1).to_bytes(32, "little"),
]
BESIDE = (2).to_bytes(32, "little")  # 2^3 + A 2^2 + 2 is no square
LONGER_FORM = (points.P + 9).to_bytes(32, "little")


@dataclass(frozen=True)
class Played:
    """One alignment, message by message, and states that take them."""

    blinded: bytes
    candidates: bytes
    doubled: bytes
    places: bytes
    label_states: tuple[bytes, bytes]
    room_states: tuple[bytes, bytes]
    commitment: str

    def label(self, at: int) -> LabelSet:
        return LabelSet.resume(TERMS, OWN, self.label_states[at])

    def room(self, at: int) -> RoomSet:
        return RoomSet.resume(TERMS, THEIRS, self.room_states[at])


@pytest.fixture(scope="module")
def played() -> Played:
    label = LabelSet(TERMS, OWN, os.urandom)
    blinded = label.begin()
    room = RoomSet(TERMS, THEIRS, messages.commitment(blinded), os.urandom)
    label_states, room_states = [label.save()], [room.save()]
    candidates = room.answer(blinded)
    doubled = label.answer(candidates)
    assert doubled is not None
    label_states.append(label.save())
    room_states.append(room.save())
    room.learn(doubled)
    return Played(
        blinded,
        candidates,
        doubled,
        room.release(),
        (label_states[0], label_states[1]),
        (room_states[0], room_states[1]),
        messages.commitment(blinded),
    )


def refusal(act: Callable[[], object]) -> Refusal:
    with pytest.raises(JointTrainingError) as refused:
        act()
    return refused.value.reason


def committed_room(message: bytes) -> RoomSet:
    """A room for a side that committed to what it sends, good or bad."""
    return RoomSet(TERMS, THEIRS, messages.commitment(message), os.urandom)


def with_points(kind: AlignmentKind, found: list[bytes]) -> bytes:
    return messages.write(TERMS, kind, found)


def points_of(message: bytes) -> list[bytes]:
    return points.split(message[44:])


@pytest.mark.parametrize("point", [*SMALL, BESIDE, LONGER_FORM])
def test_points_of_small_order_or_beside_the_curve_are_refused(
    played: Played, point: bytes
) -> None:
    bad = with_points(AlignmentKind.BLINDED, sorted([point, *points_of(played.blinded)[1:]]))
    assert refusal(lambda: committed_room(bad).answer(bad)) is Refusal.BAD_POINT
    label = played.label(0)
    bad = with_points(AlignmentKind.CANDIDATES, sorted([point, *points_of(played.candidates)[1:]]))
    assert refusal(lambda: label.answer(bad)) is Refusal.BAD_POINT
    assert label.answer(played.candidates) == played.doubled, "the right one may still come"


def test_a_set_other_than_the_committed_one_is_refused(played: Played) -> None:
    other = LabelSet(TERMS, [*OWN[:-1], "firm-170"], os.urandom).begin()
    room = played.room(0)
    assert refusal(lambda: room.answer(other)) is Refusal.OTHER_SET
    room.answer(played.blinded)
    assert refusal(lambda: room.answer(other)) is Refusal.OTHER_SET, "nor a second one later"


def test_points_that_come_twice_or_out_of_order_are_refused(played: Played) -> None:
    found = points_of(played.blinded)
    for changed in ([found[0], *found[:-1]], [found[1], found[0], *found[2:]], found[::-1]):
        bad = with_points(AlignmentKind.BLINDED, changed)
        assert refusal(lambda bad=bad: committed_room(bad).answer(bad)) is Refusal.REPEATED_POINT
    doubled = points_of(played.doubled)
    bad = with_points(AlignmentKind.DOUBLED, [doubled[1], *doubled[1:]])
    assert refusal(lambda: played.room(1).learn(bad)) is Refusal.REPEATED_POINT


def test_more_or_fewer_points_than_agreed_are_refused(played: Played) -> None:
    found = points_of(played.blinded)
    for changed in (found[:-1], []):
        bad = with_points(AlignmentKind.BLINDED, changed)
        assert refusal(lambda bad=bad: committed_room(bad).answer(bad)) is Refusal.WRONG_SIZE
    doubled = points_of(played.doubled)
    bad = with_points(AlignmentKind.DOUBLED, doubled[:-1])
    assert refusal(lambda: played.room(1).learn(bad)) is Refusal.WRONG_SIZE
    bad = with_points(AlignmentKind.CANDIDATES, doubled + found)
    assert refusal(lambda: played.label(0).answer(bad)) is Refusal.WRONG_SIZE


def test_messages_of_another_job_version_or_kind_are_refused(played: Played) -> None:
    other = messages.write(
        AlignmentTerms("00" * 32, 100), AlignmentKind.CANDIDATES, points_of(played.candidates)
    )
    label = played.label(0)
    assert refusal(lambda: label.answer(other)) is Refusal.OTHER_TERMS
    assert refusal(lambda: label.answer(b"X" + played.candidates[1:])) is Refusal.MALFORMED
    wrong = played.candidates[:4] + b"\0\2" + played.candidates[6:]
    assert refusal(lambda: label.answer(wrong)) is Refusal.OTHER_VERSION
    for message in (played.places, played.doubled, played.blinded):
        assert refusal(lambda message=message: label.answer(message)) is Refusal.OUT_OF_ORDER


@pytest.mark.parametrize("keep", [0, 43, 44, 45, -1, -32])
def test_a_message_cut_off_is_refused(played: Played, keep: int) -> None:
    assert refusal(lambda: played.label(0).answer(played.candidates[:keep])) is Refusal.MALFORMED
    assert refusal(lambda: played.room(1).learn(played.doubled[:keep])) is Refusal.MALFORMED
    assert refusal(lambda: played.label(1).answer(played.places[:keep])) is Refusal.MALFORMED


def test_places_that_are_none_or_come_twice_are_refused(played: Played) -> None:
    label = played.label(1)
    for places in ([0, 0], [100], [2**32 - 1]):
        bad = messages.write_places(TERMS, places)
        assert refusal(lambda bad=bad: label.answer(bad)) is Refusal.OUT_OF_RANGE
    none = messages.write_places(TERMS, [])
    assert refusal(lambda: label.answer(none)) is Refusal.WRONG_SIZE
    assert label.answer(played.places) is None
    assert {OWN[at] for at in label.aligned} == set(OWN) & set(THEIRS)


def test_nothing_is_released_before_the_intersection_is_known(played: Played) -> None:
    assert refusal(lambda: played.room(0).learn(played.doubled)) is Refusal.OUT_OF_ORDER
    assert refusal(lambda: played.room(1).release()) is Refusal.OUT_OF_ORDER
    assert refusal(lambda: played.label(1).aligned) is Refusal.NOT_FINISHED


def test_what_came_before_the_release_is_the_same_whoever_is_common() -> None:
    """The label side's view holds sizes only: none of its own points is among the room's."""
    for theirs in (THEIRS, [f"stranger-{number}" for number in range(120)]):
        label = LabelSet(TERMS, OWN, os.urandom)
        blinded = label.begin()
        candidates = RoomSet(TERMS, theirs, messages.commitment(blinded), os.urandom).answer(
            blinded
        )
        assert len(candidates) == 44 + 32 * 120
        doubled = label.answer(candidates)
        assert doubled is not None
        seen = set(points_of(candidates)) | set(points_of(doubled))
        assert not seen & set(points_of(blinded))


def test_no_guess_of_an_identifier_is_found_in_what_crosses(played: Played) -> None:
    """Without the other's secret a dictionary of all identifiers matches nothing."""
    guesses = {points.hash_to_point(bytes.fromhex(JOB), name) for name in OWN + THEIRS}
    for message in (played.blinded, played.candidates, played.doubled):
        assert not guesses & set(points_of(message))


def test_a_side_with_no_common_subject_is_told_so() -> None:
    label = LabelSet(TERMS, OWN, os.urandom)
    blinded = label.begin()
    room = RoomSet(TERMS, ["stranger"], messages.commitment(blinded), os.urandom)
    doubled = label.answer(room.answer(blinded))
    assert doubled is not None
    assert room.learn(doubled) == []
    assert refusal(room.release) is Refusal.NO_SUPPORT


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_messages_are_refused_or_harmless(played: Played, data: st.DataObject) -> None:
    """A flipped byte is refused, or is a point that belongs to nobody; nothing else is raised."""
    message = bytearray(played.candidates)
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    try:
        doubled = played.label(0).answer(bytes(message))
    except JointTrainingError:
        return
    assert doubled is not None
    assert set(played.room(1).learn(doubled)) <= set(played.room(1).learn(played.doubled))


def test_the_small_points_are_those_that_end_every_secret_in_zero() -> None:
    key = X25519PrivateKey.generate()
    for point in SMALL:
        with pytest.raises(ValueError, match=r"."):
            key.exchange(X25519PublicKey.from_public_bytes(point))
