"""Trainings in the room that a member asked for, in its folder: each is kept before it is asked.

Whoever was stopped asks for the very same again, and it counts once.

fits/…/request.json   the signed request, and the key that its card is sealed to, itself sealed
fits/…/receipt.json   what shows all of it to anybody, offline; the card is in it
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from saferoom_client.files import make_folder, read_file, read_model
from saferoom_client.files import write_model as write_document
from saferoom_client.profile import Profile
from saferoom_client.training.folder import FITS, REQUEST, kept_in, open_sealed, seal, short
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    FitRequest,
    load,
)
from saferoom_proto.statements.base import (
    Base64,
    Part,
)

_RECEIPT: Final = "receipt.json"


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
