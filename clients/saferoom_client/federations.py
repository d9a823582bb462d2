"""Calls about federated training: propose it, join, train, score, end it, list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from saferoom_client.drafts import read_federation
from saferoom_client.federating.folder import MODEL, FederationFolder, KeptModel
from saferoom_client.federating.scoring import FederationScored, score_file
from saferoom_client.federating.taking_part import (
    EndedEarlyError,
    FederationProgress,
    Part,
    kept_model,
    take_up,
)
from saferoom_client.federating.view import (
    FederationView,
    check_apart,
    find_federation,
    get_federation,
    list_federations,
)
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.training.table import TrainingTable, read_table
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FederationEnd, FederationJoin, FederationResult
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.statements.federation import ROWS_TOLD_IN
from saferoom_proto.v1 import federation_pb2
from saferoom_proto.wire import envelope_to_proto

__all__ = [
    "FederationTrained",
    "end_federation",
    "join_federation",
    "list_federations",
    "propose_federation",
    "score_federation",
    "show_federation",
    "train_federation",
]


@dataclass(frozen=True, slots=True)
class FederationTrained:
    """What came of a training.

    Attributes:
        view: the federation.
        model: the model; none where it ended before there was one.
        file: where it stands.
        ended: why it ended before its end; empty if it did not.
    """

    view: FederationView
    model: KeptModel | None
    file: Path
    ended: str


class _Said(TypedDict):
    """What every word on a federation says."""

    room: str
    institution: str
    signer: str
    federation: str
    at: datetime


def _said(session: Session, view: FederationView) -> _Said:
    profile = session.profile
    return {
        "room": profile.card.origin,
        "institution": profile.member.organisation,
        "signer": b64(profile.signing_certificate),
        "federation": view.federation,
        "at": whole_milliseconds(session.clock()),
    }


def _ignore(progress: FederationProgress) -> None:
    del progress


async def propose_federation(session: Session, draft: Path) -> FederationView:
    """Propose that the banks that a draft names train together; the proposer has to join, too.

    Raises:
        SafeRoomError: what is wrong with the draft, by line and rule; `MALFORMED` for a bank that
            is not enrolled.
    """
    now = whole_milliseconds(session.clock())
    statement = session.sign(read_federation(draft, session.profile, now))
    ask = federation_pb2.ProposeFederationRequest(proposal=envelope_to_proto(statement))
    told = await session.call(session.federations.ProposeFederation, ask)
    session.recorded(statement, told.recorded)
    return await get_federation(session, statement.digest)


async def show_federation(session: Session, named: str) -> FederationView:
    """Show a federation, by its id, its first digits or the proposal's name."""
    return await get_federation(session, await find_federation(session, named))


async def join_federation(session: Session, named: str) -> FederationView:
    """Take part in a federation, with all the banks that it names.

    Raises:
        SafeRoomError: `CONFLICT` where it has ended, or where what was trained before would tell
            one bank's part.
    """
    view = await show_federation(session, named)
    folder = FederationFolder(session.profile, view.federation)
    key = folder.key() if folder.has_joined() else Ed25519PrivateKey.generate()
    if _joined_by(session, view, key):
        return view
    if folder.begun():
        rule = later("the room does not show this bank's join, and its training has begun here")
        raise SafeRoomError(Reason.BAD_PROOF, rule, [FieldFault("federation", rule)])
    # One that did not reach the room is signed anew: none is taken that is more than a day old.
    await check_apart(session, view, joining=True)
    said = _said(session, view)
    said["at"] = max(said["at"], view.proposal.valid_from)  # this clock may be behind another's
    statement = session.sign(FederationJoin(**said, key=_public(key)))
    folder.join(statement, key)
    ask = federation_pb2.JoinFederationRequest(join=envelope_to_proto(statement))
    told = await session.call(session.federations.JoinFederation, ask)
    session.recorded(statement, told.recorded)
    return await get_federation(session, view.federation)


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _joined_by(session: Session, view: FederationView, key: Ed25519PrivateKey) -> bool:
    own = view.joins.get(session.profile.member.organisation)
    return own is not None and own.key == _public(key)


async def end_federation(session: Session, named: str, why: str) -> FederationView:
    """Take part no longer: the federation ends for all."""
    view = await show_federation(session, named)
    statement = session.sign(FederationEnd(**_said(session, view), why=why))
    ask = federation_pb2.EndFederationRequest(end=envelope_to_proto(statement))
    told = await session.call(session.federations.EndFederation, ask)
    session.recorded(statement, told.recorded)
    return await get_federation(session, view.federation)


async def train_federation(
    session: Session,
    named: str,
    rows: Path,
    *,
    label: str,
    subject: str | None = None,
    told: Callable[[FederationProgress], None] = _ignore,
) -> FederationTrained:
    """Take part in a training, from where it stands to its end, and say what was trained.

    Args:
        session: of a member of a bank that joined.
        named: the federation.
        rows: the bank's table.
        label: its column of labels.
        subject: its column of subjects.
        told: is told how far it is.

    Raises:
        SafeRoomError: `CONFLICT` before all have joined, or where another process takes part;
            `MALFORMED` for rows that cannot be trained on; what the room refuses.
    """
    view = await show_federation(session, named)
    folder = FederationFolder(session.profile, view.federation)
    if not _joined_by(session, view, folder.key()):
        rule = later("the log has another key of this bank for it than this member folder holds")
        raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("federation", rule)])
    if view.waiting_for:
        rule = f"these have not joined yet: {', '.join(view.waiting_for)}"
        raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("federation", rule)])
    with folder.alone():
        if folder.model() is None:
            columns = [column.name for column in view.proposal.columns]
            table = read_table(rows, label=label, subject=subject, columns=columns)
            if not folder.masked():
                await check_apart(session, view, joining=False)
            ended = await _to_its_end(session, folder, view, table, told)
        else:
            ended = ""
        model = folder.model()
        if model is not None:
            await _report(session, folder, view, model)
            folder.forget_state()  # never without one: another start would sign a second set
    after = await get_federation(session, view.federation)
    return FederationTrained(after, model, folder.folder / MODEL, ended)


async def score_federation(
    session: Session,
    named: str,
    rows: Path,
    out: Path,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> FederationScored:
    """Score a file of the bank's own rows with the model it holds; the room is not asked.

    Args:
        session: of the member that trained it.
        named: the federation.
        rows: the bank's table.
        out: where the rows go with log-odds and probability, or what is wrong with each.
        told: is told how many rows have been read.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` where the member folder has no such model; `BAD_CONFIG`
            for a file or a heading that cannot be used.
    """
    return await asyncio.to_thread(score_file, session.profile, named, rows, out, told=told)


async def _to_its_end(
    session: Session,
    folder: FederationFolder,
    view: FederationView,
    table: TrainingTable,
    told: Callable[[FederationProgress], None],
) -> str:
    """Train, and keep the model there is; says why it ended before its end."""
    ended = view.ends[0].why if view.ends and not view.results else ""
    if folder.state() is None:
        if ended:
            return ended
        view.proposal.require_valid(whole_milliseconds(session.clock()))
    participant = take_up(view, folder, table)
    if not ended:  # what a bank signed holds, whether the room goes by it or not
        try:
            await Part(session, folder, participant, view.proposal.rounds, told).run()
        except EndedEarlyError as early:
            ended = early.detail
    model = kept_model(view, participant)
    if model is not None:
        folder.keep_model(model)
    return ended


async def _report(
    session: Session, folder: FederationFolder, view: FederationView, model: KeptModel
) -> None:
    """Say in the log what was trained, unless this bank has."""
    if any(each.institution == session.profile.member.organisation for each in view.results):
        return
    fitted = model.fitted
    result = FederationResult(
        **_said(session, view),
        course=model.course,
        banks=model.banks,
        rows=fitted.rows - fitted.rows % ROWS_TOLD_IN,
        rounds=fitted.rounds,
        converged=fitted.converged,
    )
    statement = session.sign(result)
    folder.keep_result(statement)
    ask = federation_pb2.ReportFederationRequest(result=envelope_to_proto(statement))
    told = await session.call(session.federations.ReportFederation, ask)
    session.recorded(statement, told.recorded)
