"""Asking for a job of joint training: all that can be refused here is, before a run is spent."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from saferoom_client.advice import Again
from saferoom_client.kinds import another_kind
from saferoom_client.question import BACKDATED, read_purpose
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.tongue import later
from saferoom_client.training import machines
from saferoom_client.training.folder import Admitted, JobFolder, RowsFrom
from saferoom_client.training.table import TrainingTable, read_table
from saferoom_client.training.words import keep_end, open_admission, open_release
from saferoom_client.values import TemplateView
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.job_channel import alignment_job_of
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobRelease, JobRequest, Purpose, Training
from saferoom_proto.statements.base import field_faults, fresh_nonce, whole_milliseconds
from saferoom_proto.statements.training import rows_held_out
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto

VALID_FOR: Final = timedelta(days=7)
"""How long a job may be taken up again."""
_ADMISSION_SECONDS: Final = 120.0
"""The enclave reads its features' values before it lets a job begin."""

_REFUSALS: Final = {
    Reason.OVER_BUDGET: later(
        "as many jobs were run as the template allows in its period, or bands of the owner's models"
        " told your group as much as they may"
    ),
    Reason.NOT_APPROVED: later("the owner's approvers have not approved the template as it is now"),
}
"""What a refusal of a job means, where the reason's own words are about a question."""


@dataclass(frozen=True, slots=True)
class JobRows:
    """What a job's label side brings, and where it stands.

    Attributes:
        file: CSV, Excel, Parquet or Arrow: a subject, a label and numbers in each row.
        label: the column of labels, 1 for the event and 0 else.
        subject: the column of subjects' codes; by default the one of its usual name.
        columns: those to train on; by default all others.
    """

    file: Path
    label: str
    subject: str | None = None
    columns: tuple[str, ...] = ()

    def read(self) -> TrainingTable:
        """Read them.

        Raises:
            SafeRoomError: what is wrong with the file, or with which of its lines.
        """
        return read_table(self.file, label=self.label, subject=self.subject, columns=self.columns)


async def submit_job(
    session: Session,
    template: str,
    rows: JobRows,
    *,
    purpose: Purpose | str,
    inverse_ridge: Decimal | None = None,
    rank: int = 4,
    rounds: int | None = None,
    executor: Executor | None = None,
) -> JobFolder:
    """Sign a job and ask for it; it is kept in the member's folder before anything is sent.

    Args:
        session: of the institution.
        template: its digest, or its name for the newest of that name.
        rows: what the label side brings.
        purpose: what the model is for, one of the template's purposes.
        inverse_ridge: scikit-learn's C, within the template's bounds; by default proposed by the
            events there are.
        rank: into how many products the logistic function is split: 2, 4, 6 or 8.
        rounds: the most; by default the template's.
        executor: shares out the blinding of subjects; by default none does.

    Returns:
        The job, which `take_part` goes through.

    Raises:
        Refused: the room or the enclave refused; nothing has begun.
        SafeRoomError: what is wrong with the rows, before anything was asked.
    """
    # Step 1: what the owner approved, and what the rows are.
    view = await get_template(session, template)
    training = _training(view)
    table = await asyncio.to_thread(rows.read)
    room_columns = _room_columns(view)
    # Step 2: everything that can be refused here is, before a run is spent.
    ridge = _ridge(training, table, room_columns, inverse_ridge)
    most = training.rounds if rounds is None else rounds
    _require_within(training, table, most)
    held = 0 if training.bands is None else rows_held_out(len(table.labels))
    shape = machines.Shape(room_columns, most, float(ridge), held)
    await asyncio.to_thread(machines.check_rows, table, shape)
    # Step 3: the set, blinded; its digest is in the request.
    folder = await asyncio.to_thread(
        _sign,
        session,
        view,
        _Chosen(rows, table, read_purpose(purpose), ridge, rank, most),
        executor,
    )
    # Step 4: ask.
    try:
        told = await _ask_first(session, folder)
        await _take(session, folder, told)
    except Refused as refused:
        if refused.again is Again.SAME and folder.ended() is None:
            refused.add_note(f"saferoom job resume {folder.job}")  # it is asked for again first
        raise
    return folder


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What was chosen for a job, within its template's bounds."""

    rows: JobRows
    table: TrainingTable
    purpose: Purpose
    inverse_ridge: Decimal
    rank: int
    rounds: int


def _sign(
    session: Session,
    view: TemplateView,
    chosen: _Chosen,
    executor: Executor | None,
) -> JobFolder:
    """Blind the set, sign the request that commits to it, and keep both."""
    rows, table, host = chosen.rows, chosen.table, _training(view).hosted_by
    nonce, channel_key = fresh_nonce(), SealingKey.generate()
    template, certificate = view.envelope.digest, view.certificate.digest
    institution = session.profile.member.organisation
    named = alignment_job_of(template, certificate, institution, nonce)
    participant, commitment = machines.begin(named, table, executor)
    begins = whole_milliseconds(session.clock()) - BACKDATED
    request = _request(
        {
            "room": session.profile.card.origin,
            "institution": institution,
            "template": template,
            "certificate": certificate,
            "purpose": chosen.purpose,
            "items": len(table.subjects),
            "commitment": f"sha256:{commitment}",
            "columns": len(table.columns),
            "inverse_ridge": chosen.inverse_ridge,
            "rank": chosen.rank,
            "rounds": chosen.rounds,
            "nonce": nonce,
            "not_before": begins,
            "not_after": begins + VALID_FOR,
            "channel_key": b64(channel_key.public),
        }
    )
    return JobFolder.make(
        session.profile,
        session.sign(request),
        template=view.template.name,
        owner=host,
        givers=tuple(part.owner for part in view.certificate.parts if part.owner != host),
        rows=RowsFrom(
            file=str(rows.file.absolute()),
            label=rows.label,
            subject=rows.subject,
            columns=rows.columns,
            digest=table.digest,
        ),
        bands=_training(view).bands,
        channel_key=channel_key,
        state=participant.save(),
    )


async def admit(session: Session, folder: JobFolder) -> Admitted:
    """Ask for a job that was kept, the first time or again, and open the enclave's word on it."""
    return await _take(session, folder, await _ask(session, folder))


async def _ask_first(session: Session, folder: JobFolder) -> job_pb2.SubmitJobResponse:
    """Ask for a job; one that the room refuses for good, without an enclave's word, is not kept."""
    try:
        return await _ask(session, folder)
    except Refused as refused:
        if refused.again is Again.NEW:
            folder.discard()
        raise


async def _ask(session: Session, folder: JobFolder) -> job_pb2.SubmitJobResponse:
    ask = job_pb2.SubmitJobRequest(request=envelope_to_proto(folder.envelope))
    return await session.call(session.jobs.SubmitJob, ask, _ADMISSION_SECONDS)


async def _take(session: Session, folder: JobFolder, told: job_pb2.SubmitJobResponse) -> Admitted:
    """Open the enclave's word on a job, and keep it.

    Raises:
        Refused: it lets the job not begin.
    """
    recorded = recorded_from_proto(told.word)
    if recorded.statement.payload_type == JobRelease.payload_type():
        release = await open_release(session, folder, recorded)
        keep_end(folder, recorded)
        folder.forget_state()
        raise _refused(folder, release)
    others = [recorded_from_proto(each) for each in told.others]
    admission, secret = await open_admission(session, folder, recorded, told.sealed_channel, others)
    folder.admit(recorded.statement, admission.columns, secret)
    return Admitted(admission.columns, secret)


def _refused(folder: JobFolder, release: JobRelease) -> Refused:
    reason = release.reason or Reason.CONFLICT
    told = {"request_id": folder.job, "owner": release.owner}
    rule = _REFUSALS.get(reason, "the enclave lets the job not begin")
    refused = Refused(SafeRoomError(reason, rule, [FieldFault("job", rule)]), told)
    if reason in _REFUSALS:
        refused.add_note(f"saferoom template show {folder.template}")
    return refused


def _training(view: TemplateView) -> Training:
    training = view.template.training
    if training is None:
        raise another_kind(view)
    return training


def _room_columns(view: TemplateView) -> int:
    parts = [part.training for part in view.certificate.parts]
    columns = [len(part.columns) for part in parts if part is not None]
    if len(columns) != len(parts):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a certificate of no training")
    return sum(columns)


def _ridge(
    training: Training, table: TrainingTable, room_columns: int, asked: Decimal | None
) -> Decimal:
    bounds = training.inverse_ridge
    if asked is None:
        proposed = Decimal(str(machines.propose_ridge(table, room_columns)))
        asked = min(max(proposed, bounds.least), bounds.most)
    if not bounds.least <= asked <= bounds.most:
        rule = f"the template allows {bounds.least} to {bounds.most}"
        raise SafeRoomError(Reason.OFF_DOMAIN, rule, [FieldFault("inverse_ridge", rule)])
    return asked


def _require_within(training: Training, table: TrainingTable, rounds: int) -> None:
    """Refuse what the template does not allow, or what it never could."""
    events = sum(table.labels)
    rarer = min(events, len(table.labels) - events)
    for field, found, least, most in (
        ("columns", len(table.columns), 1, training.label_columns),
        ("rounds", rounds, 1, training.rounds),
        ("rows", len(table.labels), training.least_rows, None),
        ("events", rarer, training.least_events, None),
    ):
        if found < least or (most is not None and found > most):
            rule = f"{found} {field}; the template asks for {least} to {most}"
            if most is None:
                rule = f"{found} {field}; the template asks for at least {least}"
            raise SafeRoomError(Reason.OFF_DOMAIN, rule, [FieldFault(field, rule)])


def _request(fields: dict[str, object]) -> JobRequest:
    try:
        return JobRequest.model_validate(fields)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "job", field_faults(error)) from None
