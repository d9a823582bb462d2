"""The auditor holds a job of several owners to every owner's admission."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from saferoom_client.audit.jobs import Admissions
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobRelease
from tests.proto.golden_jobs import certificate_of_two, training_certificate, words_on_jobs

HOST, GIVER = "tax", "court"


def admission(owner: str) -> JobAdmission:
    said = words_on_jobs()["job-admission"]
    assert isinstance(said, JobAdmission)
    return said.model_copy(update={"owner": owner})


def release() -> JobRelease:
    said = words_on_jobs()["job-release"]
    assert isinstance(said, JobRelease)
    return said


def refusal(act: Callable[[], None]) -> Reason | None:
    """Why something is refused; none if it is not."""
    try:
        act()
    except SafeRoomError as refused:
        return refused.reason
    return None


def test_a_host_that_begins_after_the_others_is_right() -> None:
    admissions, both = Admissions(), certificate_of_two()
    for owner in (GIVER, HOST, HOST):  # the host took it up again after a start
        assert refusal(partial(admissions.take, admission(owner), both)) is None
    assert refusal(lambda: admissions.require(release(), both)) is None


def test_a_host_that_begins_alone_is_found() -> None:
    begun = partial(Admissions().take, admission(HOST), certificate_of_two())
    assert refusal(begun) is Reason.NOT_APPROVED


def test_a_model_that_another_owner_never_let_begin_is_found() -> None:
    admissions, both = Admissions(), certificate_of_two()
    admissions.take(admission(GIVER), both)
    assert refusal(lambda: admissions.require(release(), both)) is Reason.NOT_APPROVED


def test_a_job_of_one_owner_asks_nobody_else() -> None:
    admissions, alone = Admissions(), training_certificate()
    assert refusal(lambda: admissions.take(admission(HOST), alone)) is None
    assert refusal(lambda: admissions.require(release(), alone)) is None
    # The same words on a job of two are not enough.
    assert refusal(lambda: admissions.require(release(), certificate_of_two())) is (
        Reason.NOT_APPROVED
    )
