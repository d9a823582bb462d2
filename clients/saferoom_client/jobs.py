"""Calls about jobs of joint training: ask for one, take part in it, watch, list, end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import grpc

from saferoom_client.refused import Refused, refusal_of
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.training import machines
from saferoom_client.training.asking import JobRows, admit, submit_job
from saferoom_client.training.folder import JobFolder, find_job
from saferoom_client.training.progress import JobProgress, Stage, Told, ignore
from saferoom_client.training.report import TrainingReport, make_report
from saferoom_client.training.states import JobState, JobView, read_status
from saferoom_client.training.table import TrainingTable
from saferoom_client.training.taking_part import Part
from saferoom_client.training.words import keep_end, open_release
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobCancel, JobOutcome, JobRelease
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto

__all__ = [
    "JobEnd",
    "JobRows",
    "cancel_job",
    "list_jobs",
    "read_report",
    "require_report",
    "submit_job",
    "take_part",
    "watch_job",
]


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended.

    Attributes:
        job: its name.
        release: the enclave's last word, verified.
        report: what can be told of the model; none where there is no model.
    """

    job: str
    release: JobRelease
    report: TrainingReport | None


async def take_part(
    session: Session,
    job: str,
    *,
    file: Path | None = None,
    told: Told = ignore,
    executor: Executor | None = None,
) -> JobEnd:
    """Go through a job, from where it stands to its end; it survives what breaks off.

    Args:
        session: of the member that asked for it.
        job: its name, or the first digits of it.
        file: where the rows stand now, if no longer where they were read from.
        told: is told how far it is.
        executor: shares out the blinding of subjects; by default none does.

    Raises:
        Refused: the room or the enclave refused, or could not be reached for two minutes.
        SafeRoomError: what this side refuses; the job goes on when that is put right. `CONFLICT`
            where another process takes part in it.
    """
    folder = find_job(session.profile, job)
    with folder.alone():
        if (ended := folder.ended()) is None:
            return await _to_its_end(session, folder, file, told, executor)
        release = await open_release(session, folder, ended.recorded())
        folder.forget_state()  # still there if this was killed just then
        return JobEnd(folder.job, release, read_report(folder))


async def _to_its_end(
    session: Session, folder: JobFolder, file: Path | None, told: Told, executor: Executor | None
) -> JobEnd:
    # Step 1: the rows again, and the state that was kept.
    table = await asyncio.to_thread(_read_again, folder, file)
    admitted = folder.admitted() or await admit(session, folder)
    participant = await asyncio.to_thread(
        machines.take_up, folder, table, admitted.room_columns, executor
    )
    # Step 2: message after message, to the enclave's last word.
    part = Part(session, folder, admitted, participant, told)
    recorded = await part.run()
    release = await open_release(session, folder, recorded)
    # Step 3: what can be told of the model. The state goes last.
    report = None
    if release.outcome is JobOutcome.RELEASED:
        if not participant.over:
            raise SafeRoomError(Reason.BAD_PROOF, "the enclave ended a job that is not over")
        told(JobProgress(Stage.REPORTING, rows=participant.rows))
        report = await asyncio.to_thread(make_report, folder, participant, release)
    keep_end(folder, recorded)
    folder.forget_state()
    return JobEnd(folder.job, release, report)


async def list_jobs(session: Session) -> tuple[JobView, ...]:
    """List the jobs of the caller's institution, or those at the caller's own enclave."""
    told = await session.call(session.jobs.ListJobs, job_pb2.ListJobsRequest())
    return tuple(map(read_status, told.jobs))


async def watch_job(session: Session, job: str, told: Callable[[JobView], None]) -> JobView:
    """Be told how a job stands, now and whenever that changes, until it has ended.

    Returns:
        How it stands at its end.

    Raises:
        Refused: the room refused, or the connection broke off; watch again.
    """
    call = session.jobs.WatchJob(job_pb2.WatchJobRequest(job=job))
    view: JobView | None = None
    try:
        while isinstance(message := await call.read(), job_pb2.WatchJobResponse):
            view = read_status(message.status)
            told(view)
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from error
    finally:
        call.cancel()
    if view is None or view.state not in JobState.ended():
        raise Refused(SafeRoomError(Reason.UNAVAILABLE, "the room tells no more"), {})
    return view


async def cancel_job(session: Session, job: str, why: str) -> JobEnd:
    """End a job of the caller's own member folder, whatever became of it meanwhile.

    Returns:
        How it ended: by this, or before.
    """
    folder = find_job(session.profile, job)
    cancel = JobCancel(
        room=session.profile.card.origin,
        institution=folder.request.institution,
        owner=folder.owner,
        job=folder.job,
        why=why,
        at=whole_milliseconds(session.clock()),
    )
    ask = job_pb2.CancelJobRequest(cancel=envelope_to_proto(session.sign(cancel)))
    told = await session.call(session.jobs.CancelJob, ask)
    recorded = recorded_from_proto(told.release)
    release = await open_release(session, folder, recorded)
    if release.outcome is not JobOutcome.RELEASED:
        # A released job's last answer may still be waited for.
        keep_end(folder, recorded)
        folder.forget_state()
    return JobEnd(folder.job, release, read_report(folder))


def read_report(folder: JobFolder) -> TrainingReport | None:
    """Give a job's report; none where there is no model, or none yet."""
    return TrainingReport.read(folder.report) if folder.report.exists() else None


def require_report(folder: JobFolder) -> TrainingReport:
    """Give a job's report.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` where there is no model, or none yet.
    """
    if (report := read_report(folder)) is not None:
        return report
    rule = later("this job has no model: saferoom job list")
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])


def _read_again(folder: JobFolder, file: Path | None) -> TrainingTable:
    """Read the rows that a job began with, and none other."""
    kept = folder.rows
    path = Path(kept.file) if file is None else file
    table = JobRows(path, kept.label, kept.subject, kept.columns).read()
    if table.digest != kept.digest:
        rule = later("other rows than the job began with; give the table as it was, with --rows")
        raise SafeRoomError(Reason.CONFLICT, f"{path}: {rule}", [FieldFault(str(path), rule)])
    return table
