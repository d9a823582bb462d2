"""Two sides find their common subjects, in one order, whatever their sets, and take up again."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_models.psi import messages, points
from saferoom_models.psi.label_set import LabelSet
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal

JOB = "7e" * 32


def names(first: int, count: int) -> list[str]:
    return [f"firm-{number}" for number in range(first, first + count)]


def align(own: list[str], theirs: list[str], *, kill: bool = False) -> tuple[list[str], list[str]]:
    """Align, and give each side's common subjects in the order of its rows."""
    terms = AlignmentTerms(JOB, len(own), room_most=len(theirs))
    label = LabelSet(terms, own, os.urandom)
    message: bytes | None = label.begin()
    room = RoomSet(terms, theirs, messages.commitment(message), os.urandom)
    common: list[int] = []
    while message is not None:
        if kill:
            label = LabelSet.resume(terms, own, label.save())
            room = RoomSet.resume(terms, theirs, room.save())
            assert label.waiting == message
        if messages.kind_of(message) is messages.AlignmentKind.BLINDED:
            reply = room.answer(message)
        else:
            common = room.learn(message)
            reply = room.release()
        message = label.answer(reply)
    if kill:
        label = LabelSet.resume(terms, own, label.save())
    assert label.over
    return [own[at] for at in label.aligned], [theirs[at] for at in common]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_both_sides_find_the_common_subjects_in_one_order(data: st.DataObject) -> None:
    own = names(0, 100 + data.draw(st.integers(0, 60)))
    theirs = sorted(
        data.draw(st.sets(st.sampled_from(names(50, 300)), min_size=1)), key=lambda name: name[::-1]
    )
    if not set(own) & set(theirs):
        theirs.append(own[0])
    at_label, at_room = align(own, theirs)
    assert at_label == at_room
    assert set(at_label) == set(own) & set(theirs)


def test_sides_killed_between_all_messages_take_up_where_they_were() -> None:
    own, theirs = names(0, 120), names(40, 200)
    at_label, at_room = align(own, theirs, kill=True)
    assert at_label == at_room
    assert set(at_label) == set(own) & set(theirs)


def test_workers_find_what_one_process_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "BLOCK", 1)
    secret, own = os.urandom(32), names(0, 5)
    alone = points.blind(secret, bytes(32), own, None)
    with ThreadPoolExecutor(2) as executor:
        assert points.blind(secret, bytes(32), own, executor) == alone
        assert points.multiply(secret, alone, executor) == points.multiply(secret, alone, None)


# RFC 9380, appendix J.4.2: curve25519_XMD:SHA-512_ELL2_NU_, u[0] and Q.x of each message.
_RFC_TAG = b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_"
_RFC = {
    b"": (
        "608d892b641f0328523802a6603427c26e55e6f27e71a91a478148d45b5093cd",
        "51125222da5e763d97f3c10fcc92ea6860b9ccbbd2eb1285728f566721c1e65b",
    ),
    b"abc": (
        "46f5b22494bfeaa7f232cc8d054be68561af50230234d7d1d63d1d9abeca8da5",
        "7d56d1e08cb0ccb92baf069c18c49bb5a0dcd927eff8dcf75ca921ef7f3e6eeb",
    ),
}


@pytest.mark.parametrize("message", _RFC)
def test_identifiers_become_points_as_the_standard_says(message: bytes) -> None:
    element, u = _RFC[message]
    found = points.to_field(message, _RFC_TAG)
    assert found == int(element, 16)
    assert points.to_curve(found) == int(u, 16)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_identifier_is_a_point_of_the_curve(identifier: str) -> None:
    found = points.hash_to_point(bytes(32), identifier)
    points.check_points([found])
    assert len(found) == points.POINT_BYTES


def test_an_identifier_is_another_point_under_another_job() -> None:
    assert points.hash_to_point(bytes(32), "a") != points.hash_to_point(b"\1" * 32, "a")


def test_a_secret_shows_later_that_a_committed_set_is_the_one() -> None:
    terms, own = AlignmentTerms(JOB, 100), names(0, 100)
    signed = messages.commitment(LabelSet(terms, own, lambda _: b"\7" * 32).begin())
    assert messages.commitment(LabelSet(terms, own, lambda _: b"\7" * 32).begin()) == signed
    for other in (names(1, 100), [*own[:-1], "firm-5000"]):
        assert messages.commitment(LabelSet(terms, other, lambda _: b"\7" * 32).begin()) != signed


@pytest.mark.parametrize(
    ("own", "count"),
    [([], 100), (names(0, 99), 100), ([*names(0, 99), "firm-3"], 100), ([*names(0, 99), ""], 100)],
)
def test_a_set_that_is_not_one_is_refused(own: list[str], count: int) -> None:
    with pytest.raises(JointTrainingError) as refused:
        LabelSet(AlignmentTerms(JOB, count), own, os.urandom)
    assert refused.value.reason is Refusal.BAD_IDENTIFIERS


def test_terms_out_of_bounds_are_refused() -> None:
    for reason, act in (
        (Refusal.TOO_FEW_ROWS, lambda: AlignmentTerms(JOB, 99)),
        (Refusal.BAD_TERMS, lambda: AlignmentTerms(JOB, 1_000_001)),
        (Refusal.BAD_TERMS, lambda: AlignmentTerms("7E" * 32, 100)),
        (Refusal.BAD_TERMS, lambda: AlignmentTerms(JOB, 100, room_most=0)),
    ):
        with pytest.raises(JointTrainingError) as refused:
            act()
        assert refused.value.reason is reason


def test_a_state_of_other_customers_or_another_job_is_refused() -> None:
    terms, own = AlignmentTerms(JOB, 100), names(0, 100)
    label = LabelSet(terms, own, os.urandom)
    label.begin()
    for other_terms, other in ((terms, names(1, 100)), (AlignmentTerms("00" * 32, 100), own)):
        with pytest.raises(JointTrainingError) as refused:
            LabelSet.resume(other_terms, other, label.save())
        assert refused.value.reason is Refusal.BAD_STATE
