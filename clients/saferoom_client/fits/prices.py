"""What a training in the room would cost, before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.fits.requests import Chosen, asked_fit, required_fit, signed_fit
from saferoom_client.made import WAITED_SECONDS, heard, ignore_waiting, shown
from saferoom_client.question import read_purpose
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.tongue import later
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, Purpose
from saferoom_proto.wire import recorded_from_proto


@dataclass(frozen=True, slots=True)
class FitPrice:
    """An enclave's verified word on what a training would cost.

    Attributes:
        verified: what it shows; `verified.release.privacy` is what its bands would be charged.
        receipt: what shows all of it to anybody, offline.
    """

    verified: VerifiedFit
    receipt: FitReceipt

    @property
    def refused(self) -> Reason | None:
        """Why it would be refused now; none if a model would be trained."""
        reason = self.verified.release.reason
        return None if reason is Reason.PRICE_ONLY else reason


async def price_fit(
    session: Session, template: str, *, purpose: Purpose | str, chosen: Chosen | None = None
) -> FitPrice:
    """Ask what a training in the room would cost now, and whether it would be refused.

    Nothing is trained, and nothing is charged or counted; the request stands in the log.

    Args:
        session: of the institution that would ask.
        template: its digest or name.
        purpose: what the model would be for.
        chosen: within the template's bounds. The price is the same for all of them.

    Returns:
        The enclave's word, verified.

    Raises:
        Refused: the room could not ask.
        SafeRoomError: `NOT_ALLOWED` for several owners' columns; what came back does not verify.
    """
    # Step 1: the template, verified; and a signed request. Nothing is sealed in answer to it.
    view = await get_template(session, template)
    if required_fit(view).givers:
        rule = later(
            "no price is asked of several owners: each charges the epsilon of the template's bands,"
            " if it tells any"
        )
        refusal = SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("template", rule)])
        refusal.add_note(session.profile.typed(f"template show {view.template.name}"))
        raise refusal
    request, _ = signed_fit(session, view, chosen or Chosen(), read_purpose(purpose), price=True)
    told = await asked_fit(session, request, ignore_waiting, WAITED_SECONDS)
    # Step 2: the enclave's word, its place in the log, and all that it names.
    word = recorded_from_proto(told.release)
    fields = await shown(session, view, request, word, await heard(session, word, FitRelease))
    # Step 3: all of it once more, as anybody verifies it.
    receipt = FitReceipt.model_validate({**fields, "card": None})
    return FitPrice(verify_fit_receipt(receipt, session.profile.trust), receipt)
