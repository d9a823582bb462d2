"""An enclave's words on a job, verified step by step before anything rests on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from saferoom_client.session import Session
from saferoom_client.training.folder import Ended, JobFolder
from saferoom_proto.encoding import b64
from saferoom_proto.job_channel import channel_digest, channel_info
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobRelease, JobStep
from saferoom_proto.verification import PinnedCharter
from saferoom_proto.wire import Recorded

Word = TypeVar("Word", JobAdmission, JobRelease)


async def open_admission(
    session: Session,
    folder: JobFolder,
    recorded: Recorded,
    sealed_channel: bytes,
    others: Sequence[Recorded] = (),
) -> tuple[JobAdmission, bytes]:
    """Verify an admission, and open the channel's secret.

    Args:
        session: of the institution.
        folder: the job's.
        recorded: the word of the enclave that has the room's side.
        sealed_channel: the secret, sealed.
        others: of a job of several owners, the admissions of the others.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: the word of the enclave that the owner's key agent endorsed, about this very job.
    admission, charter = await _word(session, folder, recorded, JobAdmission)
    if admission.owner != folder.owner:
        raise SafeRoomError(Reason.BAD_PROOF, "another owner's enclave has the room's side")
    _require_charged(folder, admission)
    # Step 2: what allowed it, at this owner and at every other.
    await _require_grounds(session, folder, admission, charter)
    admitted = set[str]()
    for each in others:
        said, of_other = await _word(session, folder, each, JobAdmission)
        _require_charged(folder, said)
        await _require_grounds(session, folder, said, of_other)
        admitted.add(said.owner)
    if admitted != set(folder.givers):
        raise SafeRoomError(Reason.NOT_APPROVED, "an owner's enclave did not let the job begin")
    # Step 3: the seal, and that the enclave signed for this very secret.
    secret = folder.channel_key().open(sealed_channel, info=channel_info(folder.job, folder.owner))
    if channel_digest(secret, folder.job) != admission.channel:
        raise SafeRoomError(Reason.BAD_SEAL, "the channel's secret is not the one signed for")
    return admission, secret


async def open_release(session: Session, folder: JobFolder, recorded: Recorded) -> JobRelease:
    """Verify the enclave's last word on a job.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    release, charter = await _word(session, folder, recorded, JobRelease)
    of_any = release.ended_in is JobStep.ADMISSION or release.cancel is not None
    if release.owner != folder.owner and not of_any:
        # Any owner may let it not begin, or hear that its institution ends what began there alone;
        # else the word is the enclave's that has the room's side.
        raise SafeRoomError(Reason.BAD_PROOF, "another owner's enclave has the room's side")
    if release.model is not None:
        await _require_grounds(session, folder, release, charter)
    return release


def keep_end(folder: JobFolder, recorded: Recorded) -> None:
    """Keep a verified last word, with its place in the log."""
    folder.end(
        Ended(
            release=recorded.statement.to_json().decode(),
            salt=b64(recorded.salt),
            proof=recorded.proof,
        )
    )


async def _word(
    session: Session, folder: JobFolder, recorded: Recorded, kind: type[Word]
) -> tuple[Word, PinnedCharter]:
    said, charter = await session.grounds.word(recorded.statement, kind)
    session.grounds.require_recorded(recorded)
    request = folder.request
    about = (said.request, said.institution, said.template, said.certificate)
    asked = (folder.job, request.institution, request.template, request.certificate)
    if about != asked or said.owner not in (folder.owner, *folder.givers):
        raise SafeRoomError(Reason.BAD_PROOF, "the enclave's word is about another job")
    return said, charter


def _require_charged(folder: JobFolder, admission: JobAdmission) -> None:
    """Hold what an owner's enclave charged for bands to what was approved."""
    charged = None if admission.privacy is None else admission.privacy.charged
    if charged != (None if folder.bands is None else folder.bands.epsilon):
        raise SafeRoomError(Reason.BAD_PROOF, "the job was charged another epsilon than approved")


async def _require_grounds(
    session: Session,
    folder: JobFolder,
    said: JobAdmission | JobRelease,
    charter: PinnedCharter,
) -> None:
    """Verify the approvals and the agreement that a word names."""
    grounds, request = session.grounds, folder.request
    counted = await grounds.approvals(
        said.approvals, charter, request.template, request.certificate
    )
    if counted != said.approvals:
        raise SafeRoomError(Reason.NOT_APPROVED, "the enclave's word names other approvals")
    agreement = (await grounds.agreement(said.agreement, charter)).agreement
    if agreement.institution != request.institution or request.purpose not in agreement.purposes:
        raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement does not cover the job")
