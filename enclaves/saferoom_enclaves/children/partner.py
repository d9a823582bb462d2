"""A child that talks with the other side of a joint training, through its enclave.

It alone reads what the other side made: points, keys and ciphertexts, whose readers are C and C++.
It holds no key to anything. One child aligns, and knows which subjects the store has; another one
trains, and knows columns without subjects.

    order      what it is, with descriptors: what it works on, where SEAL may write, its state
    heard      one message of the other side's
    said       `Exchanged`, and then as many frames as that says: answer, state, and what is learnt
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from saferoom_enclaves.children import frames
from saferoom_enclaves.children.jobs import Align, Exchanged, Train
from saferoom_enclaves.statistics.laplace import blurred
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError
from saferoom_models.room_training import RoomTraining
from saferoom_models.vertical import scheme
from saferoom_models.vertical.course import Trained
from saferoom_models.vertical.terms import Terms, rows_held_out
from saferoom_proto.fit_bands import measured_noise
from saferoom_proto.uscc import SUBJECT_BYTES

MOST_HEARD_BYTES: Final = 256 << 20
"""Longer than any message; the enclave, which passes them on, holds them to their own bounds."""


def talk(job: Align | Train, files: Sequence[int], channel: socket.socket) -> None:
    """Be the room's side of what was ordered, until the enclave ends it."""
    if isinstance(job, Align):
        _align(job, files, channel)
    else:
        _train(job, files, channel)


def _align(job: Align, files: Sequence[int], channel: socket.socket) -> None:
    codes, state = (_read(file) for file in files)
    identifiers = [
        codes[at : at + SUBJECT_BYTES].decode() for at in range(0, len(codes), SUBJECT_BYTES)
    ]
    try:
        terms = AlignmentTerms(job.job, job.label_items, max(1, len(identifiers)))
        side = (
            RoomSet.resume(terms, identifiers, state)
            if state
            else RoomSet(terms, identifiers, job.commitment, os.urandom)
        )
    except JointTrainingError as refusal:
        _say(channel, Exchanged(refused=refusal.reason), [])
        return
    _say(channel, Exchanged(), [])
    learning, narrowing = bool(state), False
    while (heard := frames.receive(channel, MOST_HEARD_BYTES, 0)) is not None:
        try:
            if narrowing:
                kept = np.frombuffer(heard.message, "<u4").tolist()
                told = [side.release(kept), b"", b""]
            elif learning:
                places = np.array(side.learn(heard.message), dtype="<u4")
                narrowing = job.narrowed and len(places) > 0
                # Whether it is sent is the enclave's to decide.
                answer = side.release() if len(places) and not narrowing else b""
                told = [answer, b"", places.tobytes()]
            else:
                told = [side.answer(heard.message), side.save(), b""]
                learning = True
        except JointTrainingError as refusal:
            _say(channel, Exchanged(refused=refusal.reason), [])
            continue
        _say(channel, Exchanged(), told)


def _train(job: Train, files: Sequence[int], channel: socket.socket) -> None:
    columns, opening, state = (_read(file) for file in files[:3])
    scheme.lend_place(files[3])
    try:
        side = _taken_up(job, columns, opening, state)
    except JointTrainingError as refusal:
        _say(channel, Exchanged(refused=refusal.reason), [])
        return
    _say(channel, Exchanged(), [])
    while (heard := frames.receive(channel, MOST_HEARD_BYTES, 0)) is not None:
        try:
            answer = side.answer(heard.message)
        except JointTrainingError as refusal:
            _say(channel, Exchanged(refused=refusal.reason), [])
            continue
        progress = side.progress
        trained = side.trained() if progress.over else None
        told = Exchanged(
            over=progress.over,
            rounds=progress.rounds,
            converged=trained is not None and trained.converged,
        )
        model = b"" if trained is None else _model(trained)
        _say(channel, told, [answer, side.save(), model])


def _taken_up(job: Train, columns: bytes, opening: bytes, state: bytes) -> RoomTraining:
    held = 0 if job.epsilon is None else rows_held_out(job.rows)
    terms = Terms(
        job=job.job,
        rows=job.rows - held,
        label_columns=job.label_columns,
        room_columns=len(job.names),
        inverse_ridge=job.inverse_ridge,
        rank=job.rank,
        rounds=job.rounds,
        measured=held,
    )
    values = np.frombuffer(columns, np.float64).reshape(job.rows, len(job.names))
    blur = None if job.epsilon is None else partial(blurred, noise=measured_noise(job.epsilon))
    return RoomTraining(terms, job.names, values, os.urandom, blur=blur, kept=(state, opening))


def _model(trained: Trained) -> bytes:
    """Write the room's part of a model, for its enclave to seal."""
    told = {
        "names": trained.names,
        "weights": trained.weights.tolist(),
        "means": trained.means.tolist(),
        # A column that was left out has weight 0, and an endless scale, which JSON has not.
        "scales": [each if np.isfinite(each) else None for each in trained.scales.tolist()],
        "findings": [
            {"kind": each.kind, "place": each.place, "detail": each.detail}
            for each in trained.findings
        ],
    }
    return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()


def _read(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _say(channel: socket.socket, told: Exchanged, blobs: Sequence[bytes]) -> None:
    head = told.model_copy(update={"frames": len(blobs)})
    frames.send(channel, head.model_dump_json().encode())
    for blob in blobs:
        frames.send(channel, blob)
