"""The auditor holds a job of several owners to every owner's admission."""

from __future__ import annotations

import pytest

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


def test_a_host_that_begins_after_the_others_is_right() -> None:
    admissions = Admissions()
    for owner in (GIVER, HOST, HOST):  # the host took it up again after a start
        admissions.take(admission(owner), certificate_of_two())
    admissions.require(release(), certificate_of_two())


def test_a_host_that_begins_alone_is_found() -> None:
    with pytest.raises(SafeRoomError) as refused:
        Admissions().take(admission(HOST), certificate_of_two())
    assert refused.value.reason is Reason.NOT_APPROVED


def test_a_model_that_another_owner_never_let_begin_is_found() -> None:
    admissions = Admissions()
    admissions.take(admission(GIVER), certificate_of_two())
    with pytest.raises(SafeRoomError) as refused:
        admissions.require(release(), certificate_of_two())
    assert refused.value.reason is Reason.NOT_APPROVED


def test_a_job_of_one_owner_asks_nobody_else() -> None:
    admissions = Admissions()
    admissions.take(admission(HOST), training_certificate())
    admissions.require(release(), training_certificate())
