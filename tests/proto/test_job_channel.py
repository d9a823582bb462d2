"""The channel of a job: a message opens at its own place, and nothing else does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.job_channel import (
    OVERHEAD_BYTES,
    Direction,
    alignment_job,
    alignment_job_of,
    channel_digest,
    open_message,
    seal_message,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobRequest, load
from tests.proto.golden_jobs import words_on_jobs
from tests.proto.golden_seeds import digest, seed

SECRET = seed("channel secret")
JOB = digest("job request")


@dataclass(frozen=True)
class Place:
    """What a message is sealed to."""

    secret: bytes = SECRET
    job: str = JOB
    direction: Direction = Direction.TO_ROOM
    number: int = 7

    def seal(self, message: bytes) -> bytes:
        return seal_message(self.secret, self.job, self.direction, self.number, message)

    def open(self, sealed: bytes) -> bytes:
        return open_message(self.secret, self.job, self.direction, self.number, sealed)


@given(st.binary(max_size=200))
def test_a_message_opens_as_it_was_sealed(message: bytes) -> None:
    sealed = Place().seal(message)
    assert Place().open(sealed) == message
    assert len(sealed) == len(message) + OVERHEAD_BYTES


@pytest.mark.parametrize(
    "other",
    [
        replace(Place(), secret=seed("another secret")),
        replace(Place(), job=digest("another job")),
        replace(Place(), direction=Direction.TO_LABEL_SIDE),
        replace(Place(), number=8),
    ],
    ids=["another channel", "another job", "sent back", "replayed at another place"],
)
def test_it_opens_at_no_other_place(other: Place) -> None:
    with pytest.raises(SafeRoomError) as refused:
        other.open(Place().seal(b"shares"))
    assert refused.value.reason is Reason.BAD_SEAL


@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_message_that_was_altered_anywhere_does_not_open(at: int, bit: int) -> None:
    sealed = bytearray(Place().seal(b"shares of residuals"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(SafeRoomError) as refused:
        Place().open(bytes(sealed))
    assert refused.value.reason is Reason.BAD_SEAL


@pytest.mark.parametrize("length", [0, 1, 31, 32, 47])
def test_a_message_that_was_cut_short_is_refused(length: int) -> None:
    with pytest.raises(SafeRoomError) as refused:
        Place().open(Place().seal(b"shares")[:length])
    assert refused.value.reason is Reason.BAD_SEAL


def test_the_same_message_sealed_twice_has_nothing_in_common() -> None:
    # Whatever is restarted or put back: no key meets two messages, so none needs to be counted.
    first, second = Place().seal(bytes(64)), Place().seal(bytes(64))
    assert first[:32] != second[:32]
    assert first[32:] != second[32:]


def test_what_commits_to_a_channel_is_of_one_job() -> None:
    assert channel_digest(SECRET, JOB) != channel_digest(SECRET, digest("another job"))


def test_an_alignment_has_a_name_before_its_request_and_another_for_each_nonce() -> None:
    request = words_on_jobs()["job-request"]
    assert isinstance(request, JobRequest)
    named = (request.template, request.certificate, request.institution)
    assert alignment_job(request) == alignment_job_of(*named, request.nonce)
    assert alignment_job(request) != alignment_job_of(*named, "AAAAAAAAAAAAAAAAAAAAAA==")


def test_a_request_that_asks_for_a_set_of_a_few_is_none() -> None:
    request = words_on_jobs()["job-request"]
    few = request.to_bytes().replace(b'"items":30000', b'"items":99')
    with pytest.raises(SafeRoomError) as refused:
        load(Envelope(JobRequest.payload_type(), few, (Signature("k", b"s"),)), JobRequest)
    assert [fault.field for fault in refused.value.fields] == ["items"]
