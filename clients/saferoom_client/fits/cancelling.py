"""A training in the room is ended by the institution that asked for it."""

from __future__ import annotations

from saferoom_client.fits.asking import FitAnswer, take_up_fit
from saferoom_client.fits.kept import required_kept
from saferoom_client.fits.requests import required_fit
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import JobCancel
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import envelope_to_proto


async def cancel_fit(session: Session, job: str, why: str) -> FitAnswer | None:
    """End a training in the room of the caller's own member folder, if it has not ended before.

    One that waits for its turn does not count; once it has begun it counts as a run.

    Args:
        session: of the institution that asked for it.
        job: its name, or the first digits of it.
        why: what the log says of it.

    Returns:
        The enclave's word on it, verified, whatever that is; none where no enclave knows it: then
        it has not begun, and the request is let go.

    Raises:
        Refused: the room or the enclave refused, or could not be reached.
        SafeRoomError: `UNKNOWN_STATEMENT` for none of this member's.
    """
    kept = required_kept(session.profile, job)
    view = await get_template(session, kept.request.template)
    cancel = JobCancel(
        room=session.profile.card.origin,
        institution=kept.request.institution,
        owner=required_fit(view).hosted_by,
        job=kept.job,
        why=why,
        at=whole_milliseconds(session.clock()),
    )
    ask = job_pb2.CancelJobRequest(cancel=envelope_to_proto(session.sign(cancel)))
    if not kept.receipt.exists():
        try:
            await session.call(session.jobs.CancelJob, ask)
        except Refused as refused:
            if refused.reason is not Reason.UNKNOWN_STATEMENT:
                raise
            kept.discard()
            return None
    # What it ended as is told to whoever asks the same again.
    return await take_up_fit(session, kept.job)
