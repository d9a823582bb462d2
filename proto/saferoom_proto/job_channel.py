"""The channel of a job: what label side and enclave say to each other passes the room sealed.

The enclave draws a secret for the job, signs what commits to it (`JobAdmission.channel`), and seals
it to the key that the job's request names. So each side knows that only the other holds it: the
enclave by the request's signature, the label side by the admission's. A message is sealed under a
key made for that one sealing, from the secret and 32 random bytes, so no key ever meets two
messages, whatever is restarted, repeated or put back to an older state. What it is about stands in
the associated data: the job, the direction, and the message's number.

Source: RFC 5869 (HKDF), NIST SP 800-38D (AES-GCM). The suite of the room's statements changes
nothing here, as with HPKE.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.job import JobRequest
from saferoom_proto.suite import suite_of

SECRET_BYTES: Final = 32
MOST_ROOM_ITEMS: Final = 1_000_000
"""The largest set that a room's side brings to an alignment."""
PIECE_BYTES: Final = 256 * 1024
"""Of a sealed message on its way: with what stands around it, below the 1 MiB that the room reads
of any one message."""

_SALT_BYTES: Final = 32
_TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = _SALT_BYTES + _TAG_BYTES
"""By how much a sealed message is longer than the message."""
_ONE_NONCE: Final = bytes(12)
"""Each key is used once."""
_KEY_LABEL: Final = b"saferoom job message v1\0"
_COMMITMENT_LABEL: Final = b"saferoom job channel v1\0"
_ALIGNMENT_LABEL: Final = "saferoom alignment v1"


class Direction(StrEnum):
    """Where a message goes."""

    TO_ROOM = "to-room"
    TO_LABEL_SIDE = "to-label-side"


def channel_info(job: str, owner: str) -> bytes:
    """Say what the secret is for, so that it opens as nothing else.

    Args:
        job: the digest of its request.
        owner: whose enclave seals it.
    """
    return f"saferoom job channel v1\0{job}\0{owner}".encode()


def channel_digest(secret: bytes, job: str) -> str:
    """Commit to a channel's secret, by the hash of its job's suite."""
    return suite_of(job).digest(_COMMITMENT_LABEL + job.encode() + b"\0" + secret)


def seal_message(
    secret: bytes, job: str, direction: Direction, number: int, message: bytes
) -> bytes:
    """Seal a message under a fresh key."""
    salt = os.urandom(_SALT_BYTES)
    about = _about(job, direction, number)
    return salt + AESGCM(_key(secret, salt, about)).encrypt(_ONE_NONCE, message, about)


def open_message(
    secret: bytes, job: str, direction: Direction, number: int, sealed: bytes
) -> bytes:
    """Open the message that has this place, and no other.

    Raises:
        SafeRoomError: `BAD_SEAL`, whatever was wrong with it.
    """
    salt, rest = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    about = _about(job, direction, number)
    try:
        return AESGCM(_key(secret, salt, about)).decrypt(_ONE_NONCE, rest, about)
    except (InvalidTag, ValueError) as error:
        raise SafeRoomError(Reason.BAD_SEAL, f"message {number} of a job does not open") from error


def alignment_job(request: JobRequest) -> str:
    """Name a job for its alignment: 64 hexadecimal digits."""
    return alignment_job_of(
        request.template, request.certificate, request.institution, request.nonce
    )


def alignment_job_of(template: str, certificate: str, institution: str, nonce: str) -> str:
    """Name a job for its alignment before its request exists, which commits to the aligned set."""
    parts = (_ALIGNMENT_LABEL, template, certificate, institution, nonce)
    return sha256_digest("\0".join(parts).encode()).removeprefix("sha256:")


def job_hex(job: str) -> str:
    """Name a job for its training: the 64 hexadecimal digits of its digest."""
    return job.partition(":")[2]


def _about(job: str, direction: Direction, number: int) -> bytes:
    return f"saferoom job message v1\0{job}\0{direction}\0{number}".encode()


def _key(secret: bytes, salt: bytes, about: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt, _KEY_LABEL + about).derive(secret)
