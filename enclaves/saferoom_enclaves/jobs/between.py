"""What two owners' enclaves say to each other in a job: asks of the host, answers of a giver.

    ask      the length of its head in 4 bytes, the head as JSON, what is sealed
    answer   what is sealed

Each is sealed twice. Within, under a key drawn from the two owners' pairing secret and 32 random
bytes: so it is from one of the two enclaves that their key agents released those keys to. Without,
by HPKE to the other enclave's endorsed key: so it opens in that very start of it, and nowhere else.
Both are bound to the ask's head, or to the whole ask; each ask has random bytes of its own, so no
answer serves for another. The room sees lengths, steps and times.

Source: RFC 5869 (HKDF), NIST SP 800-38D (AES-GCM), RFC 9180 (HPKE).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError

from saferoom_enclaves.jobs.peers import Peer
from saferoom_proto import hpke
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Digest, JobOutcome, Name
from saferoom_proto.statements.base import Base64, Part
from saferoom_proto.uscc import SUBJECT_BYTES

SECRET_BYTES: Final = 32
_HEAD_BYTES: Final = 4
_MOST_HEAD_BYTES: Final = 4096
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 16
_ONE_NONCE: Final = bytes(12)
"""Each key is used once."""
_ASK: Final = b"saferoom job ask v1\0"
_ANSWER: Final = b"saferoom job answer v1\0"
_STATE: Final = b"saferoom job state v1\0"
_NOBODY: Final = b"!" * SUBJECT_BYTES
"""In the place of a subject: no code is written so."""
_END: Final = b"\n"
"""Between what an answer tells in JSON, which is one line, and the bytes that go with it."""


class Step(StrEnum):
    """What a host asks."""

    HOLDS = "holds"
    """Which of these subjects do you hold?"""
    COLUMNS = "columns"
    """Your columns of these subjects, whom all owners hold."""
    GOES_ON = "goes-on"
    """May the job go on?"""
    KEEP = "keep"
    """Your part of the model: it is trained. It counts once the host has said so of its own."""


class Head(Part):
    """Of an ask; it is not sealed, and both seals are bound to it."""

    job: Digest
    host: Name
    giver: Name
    step: Step
    nonce: Base64


class Given(Part):
    """What an answer tells beside its bytes.

    Attributes:
        outcome: how the job has ended at the giver; none while it goes on.
        reason: why.
        share: with columns, the giver's share of the key under which the host keeps its state.
    """

    outcome: JobOutcome | None = None
    reason: Reason | None = None
    share: Base64 = ""


class Kept(Part):
    """What goes with a part of a model.

    Attributes:
        rounds: of the training.
        converged: whether it did.
        asks: how often the host has asked until then. After a break it trains its last message once
            more, and asks for columns anew: a part that was trained before that is none any more.
    """

    rounds: Annotated[int, Field(ge=1)]
    converged: bool
    asks: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, repr=False)
class Ask:
    """An ask as it was sealed, and what its answer is bound to."""

    head: Head
    sealed: bytes
    about: bytes


def make_ask(job: str, step: Step, own: str, peer: Peer, body: bytes) -> Ask:
    """Seal an ask to a giver's enclave."""
    nonce = b64(os.urandom(_NONCE_BYTES))
    head = Head(job=job, host=own, giver=peer.owner, step=step, nonce=nonce)
    written = head.model_dump_json().encode()
    sealed = _seal(peer, _ASK + written, body)
    whole = len(written).to_bytes(_HEAD_BYTES, "big") + written + sealed
    return Ask(head, whole, _about_answer(whole))


def filled_up(codes: bytes, count: int) -> bytes:
    """Name some subjects, and behind them nobody: the room sees one length, whoever they are."""
    return codes + _NOBODY * (count - len(codes) // SUBJECT_BYTES)


def named_in(body: bytes) -> bytes:
    """Give the subjects of what was filled up."""
    return body.partition(_NOBODY)[0]


def read_head(whole: bytes) -> tuple[Head, bytes]:
    """Read an ask's head, and what is sealed under it.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    length = int.from_bytes(whole[:_HEAD_BYTES], "big")
    if length > _MOST_HEAD_BYTES:
        raise SafeRoomError(Reason.MALFORMED, "an ask's head")
    try:
        head = Head.model_validate_json(whole[_HEAD_BYTES : _HEAD_BYTES + length])
    except ValidationError:
        raise SafeRoomError(Reason.MALFORMED, "an ask's head") from None
    return head, whole[_HEAD_BYTES + length :]


def open_ask(whole: bytes, peer: Peer, own: hpke.SealingKey) -> bytes:
    """Open an ask of a host's enclave.

    Raises:
        SafeRoomError: `BAD_SEAL`, `MALFORMED`.
    """
    _, sealed = read_head(whole)
    written = whole[_HEAD_BYTES : len(whole) - len(sealed)]
    return _open(peer, own, _ASK + written, sealed)


def make_answer(ask: bytes, peer: Peer, told: Given, body: bytes = b"") -> bytes:
    """Seal an answer to a host's enclave."""
    return _seal(peer, _about_answer(ask), told.model_dump_json().encode() + _END + body)


def open_answer(ask: Ask, peer: Peer, own: hpke.SealingKey, sealed: bytes) -> tuple[Given, bytes]:
    """Open a giver's answer to one ask.

    Raises:
        SafeRoomError: `BAD_SEAL`, `MALFORMED`.
    """
    told, _, body = _open(peer, own, ask.about, sealed).partition(_END)
    try:
        return Given.model_validate_json(told), body
    except ValidationError:
        raise SafeRoomError(Reason.MALFORMED, "a giver's answer") from None


def state_key(job: str, shares: list[bytes]) -> bytes:
    """Draw the key under which a host keeps a training's state: it takes every giver's share.

    What lies at the host is of no use once one giver has let its share go.
    """
    return HKDF(SHA256(), SECRET_BYTES, None, _STATE + job.encode()).derive(b"".join(shares))


def seal_state(key: bytes, state: bytes) -> bytes:
    """Seal a state, each time under a key of its own."""
    salt = os.urandom(_SALT_BYTES)
    return salt + AESGCM(_drawn(key, salt, _STATE)).encrypt(_ONE_NONCE, state, _STATE)


def open_state(key: bytes, sealed: bytes) -> bytes:
    """Open a state.

    Raises:
        SafeRoomError: `STORE_DAMAGED`.
    """
    try:
        return _opened(key, _STATE, sealed)
    except (InvalidTag, ValueError) as error:
        raise SafeRoomError(Reason.STORE_DAMAGED, "a job's state does not open") from error


def _seal(peer: Peer, about: bytes, message: bytes) -> bytes:
    salt = os.urandom(_SALT_BYTES)
    key = _drawn(peer.paired, salt, about)
    return hpke.seal(
        peer.sealing, salt + AESGCM(key).encrypt(_ONE_NONCE, message, about), info=about
    )


def _open(peer: Peer, own: hpke.SealingKey, about: bytes, sealed: bytes) -> bytes:
    try:
        return _opened(peer.paired, about, own.open(sealed, info=about))
    except (InvalidTag, ValueError) as error:
        detail = f"what comes in the name of {peer.owner} is not its"
        raise SafeRoomError(Reason.BAD_SEAL, detail) from error


def _opened(secret: bytes, about: bytes, sealed: bytes) -> bytes:
    salt, rest = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    return AESGCM(_drawn(secret, salt, about)).decrypt(_ONE_NONCE, rest, about)


def _drawn(secret: bytes, salt: bytes, about: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt, about).derive(secret)


def _about_answer(ask: bytes) -> bytes:
    return _ANSWER + hashlib.sha256(ask).digest()
