"""Training in the room: asked for, and opened only once all of it verifies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saferoom_client.advice import Again
from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.fits.course import Seen, looked_at
from saferoom_client.fits.kept import KeptFit, required_kept
from saferoom_client.fits.requests import Chosen, asked_fit, signed_fit
from saferoom_client.made import (
    WAITED_SECONDS,
    Waiting,
    heard,
    ignore_waiting,
    shown,
    shown_of,
)
from saferoom_client.question import read_purpose
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.tongue import say
from saferoom_client.values import TemplateView
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.fits import CARD_SEAL
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    JobAdmission,
    JobOutcome,
    JobRelease,
    Purpose,
)
from saferoom_proto.wire import Recorded, recorded_from_proto


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """An enclave's verified word on a training in the room.

    Attributes:
        job: its name: the digest of the request.
        verified: what the receipt shows; its card is none if it was refused.
        receipt: where that is kept.
    """

    job: str
    verified: VerifiedFit
    receipt: Path

    @property
    def refused(self) -> Reason | None:
        """Why there is no model; none if there is one, or if it was cancelled."""
        return self.verified.release.reason

    @property
    def cancelled(self) -> bool:
        """Whether its own institution ended it."""
        return self.verified.release.cancel is not None


async def train_in_room(
    session: Session,
    template: str,
    *,
    purpose: Purpose | str,
    chosen: Chosen | None = None,
    seen: Seen | None = None,
    waiting: Waiting = ignore_waiting,
    waited_seconds: float = WAITED_SECONDS,
) -> FitAnswer:
    """Have a model trained on owners' columns, within the enclave of whose label it is.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        purpose: what the model is for, one of the template's purposes.
        chosen: within the template's bounds.
        seen: is told how it stands, while it waits for its turn and is trained.
        waiting: is told each time that the room is asked again, while it is being trained.
        waited_seconds: how long to wait for it.

    Returns:
        The enclave's word, verified: the model's card, or why there is none.

    Raises:
        Refused: the room could not ask, or no enclave has judged it; `reason` says why.
        SafeRoomError: what came back does not verify and is not returned.
    """
    kept = await prepare_fit(session, template, purpose=purpose, chosen=chosen)
    return await ask_fit(session, kept, seen=seen, waiting=waiting, waited_seconds=waited_seconds)


async def prepare_fit(
    session: Session, template: str, *, purpose: Purpose | str, chosen: Chosen | None = None
) -> KeptFit:
    """Sign a request for a training in the room and keep it; as `train_in_room`, and not asked."""
    view = await get_template(session, template)
    envelope, key = signed_fit(session, view, chosen or Chosen(), read_purpose(purpose))
    return KeptFit.make(session.profile, envelope, key)


async def ask_fit(
    session: Session,
    kept: KeptFit,
    *,
    seen: Seen | None = None,
    waiting: Waiting = ignore_waiting,
    waited_seconds: float = WAITED_SECONDS,
) -> FitAnswer:
    """Ask what was prepared; as `train_in_room`."""
    try:
        return await _asked(session, kept, seen, waiting, waited_seconds)
    except Refused as refused:
        if refused.again is Again.SAME:
            refused.add_note(f"saferoom job resume {kept.job}")
        elif refused.again is Again.NEW:
            kept.discard()
        raise


async def take_up_fit(
    session: Session,
    job: str,
    *,
    seen: Seen | None = None,
    waiting: Waiting = ignore_waiting,
    waited_seconds: float = WAITED_SECONDS,
) -> FitAnswer:
    """Ask again for a training in the room that broke off; as `train_in_room`, and counted once."""
    kept = required_kept(session.profile, job)
    if (verified := kept.verified()) is not None:
        return FitAnswer(kept.job, verified, kept.receipt)
    return await _asked(session, kept, seen, waiting, waited_seconds)


async def _asked(
    session: Session, kept: KeptFit, seen: Seen | None, waiting: Waiting, seconds: float
) -> FitAnswer:
    view = await get_template(session, kept.request.template)
    async with looked_at(session, kept.job, seen):
        told = await asked_fit(session, kept.envelope, waiting, seconds)
    others = [recorded_from_proto(each) for each in told.others]
    if not told.HasField("release"):
        raise await _refused_by(session, kept, others)
    # Step 1: the enclave's word, its place in the log, and all that it names.
    word = recorded_from_proto(told.release)
    release = await heard(session, word, FitRelease)
    # Step 2: the seal.
    card = None
    if told.sealed:
        card = CARD_SEAL.open_text(told.sealed, kept.key(), kept.job, release.owner).rstrip(" ")
    # Step 3: all of it once more, as anybody verifies it.
    fields = await shown(session, view, kept.envelope, word, release)
    givers = tuple([await _giver(session, view, each) for each in others])
    receipt = FitReceipt.model_validate({**fields, "card": card, "givers": givers})
    verified = verify_fit_receipt(receipt, session.profile.trust)
    write_file(kept.receipt, receipt.to_json(), PUBLIC_FILE)
    return FitAnswer(kept.job, verified, kept.receipt)


async def _giver(session: Session, view: TemplateView, word: Recorded) -> dict[str, object]:
    """Gather what shows that another owner's enclave let it begin."""
    return await shown_of(session, view, word, await heard(session, word, JobAdmission))


async def _refused_by(session: Session, kept: KeptFit, words: Sequence[Recorded]) -> Refused:
    """Give the refusal of an owner whose columns were to be trained on, once it verifies."""
    if len(words) != 1:
        raise SafeRoomError(Reason.BAD_PROOF, "no enclave's word")
    said = await heard(session, words[0], JobRelease)
    if said.request != kept.job or said.outcome is JobOutcome.RELEASED or said.reason is None:
        raise SafeRoomError(Reason.BAD_PROOF, "the enclave's word is about something else")
    rule = say("the enclave of {owner} lets it not begin", owner=said.owner)
    told = {"request_id": kept.job, "owner": said.owner}
    return Refused(SafeRoomError(said.reason, rule, [FieldFault("job", rule)]), told)
