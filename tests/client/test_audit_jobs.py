"""The auditor holds a job of several owners to every owner's admission."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from saferoom_client.audit.jobs import Admissions, Trainings
from saferoom_client.audit.linked import Learners
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, JobRelease, Outcome, Payload
from tests.proto.golden_fits import certificate_of_two as fit_of_two
from tests.proto.golden_fits import words_on_fits
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


def test_a_model_of_a_job_that_never_began_is_found() -> None:
    alone = training_certificate()
    assert refusal(lambda: Admissions().require(release(), alone)) is Reason.NOT_APPROVED


def test_a_joint_training_begins_as_often_as_it_may_and_is_taken_up_again_as_it_was() -> None:
    trainings, certificate = Trainings(), training_certificate()
    by, runs = Learners("ring", ("ring",), frozenset()), certificate.part(HOST).training
    assert runs is not None
    most, days = runs.runs.most, timedelta(days=runs.runs.days)

    def begun(job: int, run: int, later: timedelta = timedelta(0)) -> Reason | None:
        first = admission(HOST)
        changes = {"request": sha256_digest(f"{job}".encode()), "run": run}
        said = first.model_copy(update=changes | {"time": first.time + later})
        return refusal(lambda: trainings.begun(said, certificate, by))

    for job in range(1, most + 1):
        assert begun(job, job) is None
        assert begun(job, job) is None
    assert begun(most + 1, most) is Reason.OVER_BUDGET  # it forgot one
    assert begun(most + 2, most + 2) is Reason.OVER_BUDGET
    assert begun(most + 3, 1, days) is None


def of_two(kind: str, owner: str, request: str = "first", **changes: object) -> Payload:
    """An enclave's word on a training of two owners, as the golden one but for some fields."""
    said = (words_on_jobs() | words_on_fits())[kind]
    fields = {"owner": owner, "request": sha256_digest(request.encode()), "run": 1} | changes
    if kind == "job-release":
        del fields["run"]
    return said.model_copy(update=fields)


def held_against(*words: Payload) -> Reason | None:
    """Have words taken in their order; give why one is held against its enclave."""
    trainings, by, certificate = Trainings(), Learners("ring", ("ring",), frozenset()), fit_of_two()
    try:
        for said in words:
            match said:
                case JobAdmission():
                    trainings.begun(said, certificate, by)
                case FitRelease():
                    trainings.fitted(said, certificate, by)
                case JobRelease():
                    trainings.ended(said, certificate)
                case _:
                    raise AssertionError(said)
    except SafeRoomError as error:
        return error.reason
    return None


def test_a_model_of_two_owners_is_held_to_what_each_said_before() -> None:
    begun, made = of_two("job-admission", "court"), of_two("fit-release", "tax")
    ended = of_two("job-release", "court")
    assert held_against(begun, made, ended) is None
    # The host trained on columns that their owner's enclave did not let it have.
    assert held_against(made) is Reason.NOT_APPROVED
    assert held_against(of_two("job-admission", "court", "another"), made) is Reason.NOT_APPROVED
    # A giver says that there is a model before its host does.
    assert held_against(begun, ended) is Reason.NOT_APPROVED
    # A giver's runs are counted as the host's are, and once for a request.
    assert held_against(begun, begun) is Reason.CONFLICT
    second = of_two("job-admission", "court", "second")
    assert held_against(begun, second) is Reason.OVER_BUDGET
    assert held_against(begun, of_two("job-admission", "court", "second", run=2)) is None
    # Withheld, it was no model: but it is a run of both.
    withheld = of_two(
        "fit-release",
        "tax",
        outcome=Outcome.REFUSED,
        reason=Reason.WITHHELD,
        model=None,
        answer=None,
    )
    assert held_against(begun, withheld) is None
