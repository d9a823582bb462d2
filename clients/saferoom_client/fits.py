"""Training in the room: asked for, opened only once all of it verifies, and kept.

Each is kept in the member's folder before it is asked for: whoever was stopped asks for the very
same again, and it counts once.

fits/…/request.json   the signed request, and the key that its card is sealed to, itself sealed
fits/…/receipt.json   what shows all of it to anybody, offline; the card is in it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from saferoom_client.advice import Again
from saferoom_client.files import PUBLIC_FILE, make_folder, read_file, read_model, write_file
from saferoom_client.files import write_model as write_document
from saferoom_client.fit_course import Seen, looked_at
from saferoom_client.fit_requests import Chosen, signed_fit
from saferoom_client.made import (
    WAITED_SECONDS,
    Waiting,
    asked_until_made,
    heard,
    ignore_waiting,
    shown,
    shown_of,
)
from saferoom_client.profile import Profile
from saferoom_client.question import read_purpose
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.tongue import say
from saferoom_client.training.folder import FITS, REQUEST, kept_in, open_sealed, seal, short
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.fits import CARD_SEAL
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    FitRequest,
    JobAdmission,
    JobOutcome,
    JobRelease,
    Purpose,
    load,
)
from saferoom_proto.statements.base import (
    Base64,
    Part,
)
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto

_RECEIPT: Final = "receipt.json"


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


class _Kept(Part):
    format: Literal["saferoom-fit/v1"] = "saferoom-fit/v1"
    request: Annotated[str, StringConstraints(max_length=64 * 1024)]
    key: Base64
    """Sealed."""


class KeptFit:
    """A training in the room that a member asked for.

    Args:
        profile: the member.
        folder: where it is kept.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        kept = read_model(folder / REQUEST, _Kept)
        self._profile: Final = profile
        self._sealed: Final = unb64(kept.key)
        self._request: Final = folder / REQUEST
        self.envelope: Final = Envelope.from_text(kept.request)
        self.request: Final = load(self.envelope, FitRequest)
        self.receipt: Final = folder / _RECEIPT

    @classmethod
    def make(cls, profile: Profile, envelope: Envelope, key: SealingKey) -> KeptFit:
        """Keep a request that was signed, before it is asked."""
        folder = make_folder(make_folder(profile.folder / FITS) / short(envelope.digest))
        sealed = seal(profile, envelope.digest, REQUEST, key.to_bytes())
        kept = _Kept(request=envelope.to_json().decode(), key=b64(sealed))
        write_document(folder / REQUEST, kept)
        return cls(profile, folder)

    @property
    def job(self) -> str:
        """Its name: the digest of the request."""
        return self.envelope.digest

    def key(self) -> SealingKey:
        """Give the key that its card is sealed to."""
        opened = open_sealed(self._profile, self.job, self._request, self._sealed)
        return SealingKey.from_bytes(opened)

    def verified(self) -> VerifiedFit | None:
        """Give what became of it, offline; none where no word on it is kept."""
        if not self.receipt.exists():
            return None
        return verify_fit_receipt(
            FitReceipt.from_json(read_file(self.receipt)), self._profile.trust
        )

    def discard(self) -> None:
        """Let it go: the room refused the request, and nothing has begun."""
        self._request.unlink(missing_ok=True)
        self._request.parent.rmdir()


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


def kept_fits(profile: Profile) -> list[KeptFit]:
    """Give the trainings in the room of this member folder, by name."""
    return [KeptFit(profile, each) for each in kept_in(profile, FITS)]


def find_fit(profile: Profile, named: str) -> KeptFit | None:
    """Find one by its digest, or by the first digits of it; none if that names no one of them."""
    digits = named.partition(":")[2] or named
    found = [
        each
        for each in kept_fits(profile)
        if digits and each.job.partition(":")[2].startswith(digits)
    ]
    return found[0] if len(found) == 1 else None


def required_kept(profile: Profile, named: str) -> KeptFit:
    """Find one; as `find_fit`, and refuse with `UNKNOWN_STATEMENT` where there is none."""
    if (kept := find_fit(profile, named)) is None:
        rule = f"{named} is no one training in the room of this member folder"
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
        refusal.add_note(profile.typed("job list"))
        raise refusal
    return kept


def is_trained_in_room(profile: Profile, model: str) -> bool:
    """Tell whether a model is one that this member had trained in the room: it is whole there."""
    return any(
        each.receipt.exists()
        and load(
            Envelope.from_text(FitReceipt.from_json(read_file(each.receipt)).release), FitRelease
        ).model
        == model
        for each in kept_fits(profile)
    )


async def _asked(
    session: Session, kept: KeptFit, seen: Seen | None, waiting: Waiting, seconds: float
) -> FitAnswer:
    view = await get_template(session, kept.request.template)
    ask = job_pb2.TrainInRoomRequest(request=envelope_to_proto(kept.envelope))

    async def call(left: float, /) -> job_pb2.TrainInRoomResponse:
        return await session.call(session.jobs.TrainInRoom, ask, left)

    async with looked_at(session, kept.job, seen):
        told = await asked_until_made(session, call, waiting, seconds)
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
