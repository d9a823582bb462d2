"""What a label side keeps of a job: a folder for each, in its member folder.

request.json   the signed request, the channel's key, and what the rows were read from
course.json    what the enclave's admission said, and the channel's secret, sealed
state.sealed   the participant's state, sealed; written anew before each message is sent
ended.json     the enclave's last word, with its proof
report.json    what can be told of the model, and the label side's own weights

What is sealed is sealed under a key drawn from the member's signing key: a copy of this folder
alone opens nothing. The state goes when the job has ended.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import StringConstraints

from saferoom_client.files import (
    alone_with,
    bad_file,
    make_folder,
    read_model,
    read_private,
    write_file,
)
from saferoom_client.files import write_model as write_document
from saferoom_client.profile import Profile
from saferoom_client.tongue import later
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobRequest, load
from saferoom_proto.statements.base import Base64, Part
from saferoom_proto.statements.training import FitBands
from saferoom_proto.wire import Recorded

JOBS: Final = "jobs"
FITS: Final = "fits"
"""Trainings in the room: one question each (`fits`)."""
REQUEST: Final = "request.json"
_COURSE: Final = "course.json"
_STATE: Final = "state.sealed"
_ENDED: Final = "ended.json"
REPORT: Final = "report.json"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_DIGITS: Final = 16
"""Of a job's digest, in its folder's name."""

_Envelope = Annotated[str, StringConstraints(max_length=64 * 1024)]


class RowsFrom(Part):
    """What a job's rows were read from: to take it up, they are read again."""

    file: str
    label: str
    subject: str | None
    columns: tuple[str, ...]
    digest: str
    """Of what was read (`TrainingTable.digest`)."""


class _Request(Part):
    format: Literal["saferoom-job/v1"] = "saferoom-job/v1"
    request: _Envelope
    template: str
    owner: str
    givers: tuple[str, ...] = ()
    rows: RowsFrom
    channel_key: Base64
    """Sealed."""
    bands: FitBands | None = None


class _Course(Part):
    admission: _Envelope
    room_columns: int
    secret: Base64
    """Sealed."""


class Ended(Part):
    """How a job ended: the enclave's word, and its place in the log."""

    release: _Envelope
    salt: Base64
    proof: str

    def recorded(self) -> Recorded:
        """Give the word as the room gave it."""
        return Recorded(Envelope.from_text(self.release), unb64(self.salt), self.proof)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What an admission brought.

    Attributes:
        room_columns: how many columns the room has.
        secret: of the channel.
    """

    room_columns: int
    secret: bytes


class JobFolder:
    """One job's folder.

    Args:
        profile: the member.
        folder: where it is.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        kept = read_model(folder / REQUEST, _Request)
        self.profile: Final = profile
        self.folder: Final = folder
        self.envelope: Final = Envelope.from_text(kept.request)
        self.request: Final = load(self.envelope, JobRequest)
        self.template: Final = kept.template
        self.owner: Final = kept.owner
        """Whose enclave has the room's side."""
        self.givers: Final = kept.givers
        """The other owners whose columns are trained on."""
        self.rows: Final = kept.rows
        self.bands: Final = kept.bands
        """With how much noise rows held out are counted; none where none are."""
        self._channel_key: Final = kept.channel_key

    @classmethod
    def make(
        cls,
        profile: Profile,
        envelope: Envelope,
        *,
        template: str,
        owner: str,
        givers: tuple[str, ...] = (),
        rows: RowsFrom,
        bands: FitBands | None = None,
        channel_key: SealingKey,
        state: bytes,
    ) -> JobFolder:
        """Keep a job that was signed, before it is asked for."""
        folder = make_folder(make_folder(profile.folder / JOBS) / short(envelope.digest))
        write_sealed(profile, envelope.digest, folder / _STATE, state)
        kept = _Request(
            request=envelope.to_json().decode(),
            template=template,
            owner=owner,
            givers=givers,
            rows=rows,
            bands=bands,
            channel_key=b64(seal(profile, envelope.digest, REQUEST, channel_key.to_bytes())),
        )
        write_document(folder / REQUEST, kept)
        return cls(profile, folder)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep any other process from taking part in this job meanwhile.

        Two would draw different messages of one number, and the state of the one that the enclave
        refuses could be written over the other's.

        Raises:
            SafeRoomError: `CONFLICT` if one does.
        """
        # Of the files in the folder it is the one that is never written anew.
        rule = later("another process takes part in this job, in another window")
        refusal = SafeRoomError(Reason.CONFLICT, rule, [FieldFault("job", rule)])
        refusal.add_note(f"saferoom job watch {self.job}")
        with alone_with(self.folder / REQUEST, refusal):
            yield

    @property
    def job(self) -> str:
        """The job's name: the digest of its request."""
        return self.envelope.digest

    def channel_key(self) -> SealingKey:
        """Give the key that the channel's secret is sealed to."""
        sealed = unb64(self._channel_key)
        return SealingKey.from_bytes(self._open(REQUEST, sealed))

    def admit(self, admission: Envelope, room_columns: int, secret: bytes) -> None:
        """Keep what the enclave's admission said."""
        sealed = seal(self.profile, self.job, _COURSE, secret)
        kept = _Course(
            admission=admission.to_json().decode(), room_columns=room_columns, secret=b64(sealed)
        )
        write_document(self.folder / _COURSE, kept)

    def admitted(self) -> Admitted | None:
        """Give what the admission brought; none before it."""
        path = self.folder / _COURSE
        if not path.exists():
            return None
        kept = read_model(path, _Course)
        return Admitted(kept.room_columns, self._open(_COURSE, unb64(kept.secret)))

    def keep_state(self, state: bytes) -> None:
        """Keep the participant's state, in place of the one before."""
        write_sealed(self.profile, self.job, self.folder / _STATE, state)

    def state(self) -> bytes:
        """Give the participant's newest state.

        Raises:
            SafeRoomError: `BAD_CONFIG` where it is not there, or not this member's.
        """
        return self._open(_STATE, read_private(self.folder / _STATE))

    def end(self, ended: Ended) -> None:
        """Keep how the job ended."""
        write_document(self.folder / _ENDED, ended)

    def forget_state(self) -> None:
        """Let the state go, and the channel's secret: the job is over."""
        for name in (_STATE, _COURSE):
            (self.folder / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Let all of it go: the room refused the request, and nothing has begun."""
        (self.folder / REQUEST).unlink(missing_ok=True)
        self.forget_state()
        self.folder.rmdir()

    def ended(self) -> Ended | None:
        """Say how the job ended; none if it is not known to have."""
        path = self.folder / _ENDED
        return read_model(path, Ended) if path.exists() else None

    @property
    def report(self) -> Path:
        """Where the report stands, once there is one."""
        return self.folder / REPORT

    def _open(self, place: str, sealed: bytes) -> bytes:
        return open_sealed(self.profile, self.job, self.folder / place, sealed)


def short(job: str) -> str:
    """Shorten a job's name to what its folder is called."""
    return job.partition(":")[2][:_DIGITS]


def find_job(profile: Profile, named: str) -> JobFolder:
    """Find a job of this member by its digest, or by the first digits of it.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if there is none here, or more than one.
    """
    digits = named.partition(":")[2] or named
    found = [
        folder
        for folder in kept_jobs(profile)
        if digits and folder.job.partition(":")[2].startswith(digits)
    ]
    if len(found) != 1:
        here = (each.name for place in (JOBS, FITS) for each in kept_in(profile, place))
        told = ", ".join(here) or "none"
        rule = f"{named} is no one job of this member folder; it has: {told}"
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
        refusal.add_note(profile.typed("job list"))
        raise refusal
    return found[0]


def kept_jobs(profile: Profile) -> list[JobFolder]:
    """Give the jobs of this member folder, by name."""
    return [JobFolder(profile, each) for each in kept_in(profile, JOBS)]


def kept_in(profile: Profile, place: str) -> list[Path]:
    """Give the folders of a member's jobs, or of its trainings in the room, by name."""
    folders = sorted((profile.folder / place).glob("[0-9a-f]" * _DIGITS))
    return [each for each in folders if (each / REQUEST).exists()]


def seal(profile: Profile, job: str, place: str, data: bytes) -> bytes:
    """Seal what belongs to one place of one job's folder."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_key(profile)).encrypt(nonce, data, _about(job, place))


def open_sealed(profile: Profile, job: str, path: Path, sealed: bytes) -> bytes:
    """Open what was sealed for a place of a job's folder.

    Raises:
        SafeRoomError: `BAD_CONFIG` for what is not this member's, this job's, or was altered.
    """
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(_key(profile)).decrypt(nonce, rest, _about(job, path.name))
    except (InvalidTag, ValueError) as error:
        rule = "it was sealed under another signing key, or for another job, or altered"
        raise bad_file(path, rule) from error


def write_sealed(profile: Profile, job: str, path: Path, data: bytes) -> None:
    """Seal what belongs to a place of a job's folder, and write it there."""
    write_file(path, seal(profile, job, path.name, data))


def _about(job: str, place: str) -> bytes:
    return f"saferoom job folder v1\0{job}\0{place}".encode()


def _key(profile: Profile) -> bytes:
    """Draw the folder's key from the member's signing key."""
    drawn = HKDF(SHA256(), _KEY_BYTES, None, b"saferoom job folder v1")
    return drawn.derive(profile.signing_key.to_pem())
