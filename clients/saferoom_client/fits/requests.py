"""A request for a training in the room: what is chosen within its template, signed, and sent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pydantic import ValidationError

from saferoom_client.kinds import another_kind
from saferoom_client.made import VALID_FOR, Waiting, asked_until_made
from saferoom_client.question import BACKDATED
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Fit, FitRequest, Purpose
from saferoom_proto.statements.base import field_faults, fresh_nonce, whole_milliseconds
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import envelope_to_proto


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen for a training in the room; by default the most that its template allows.

    Attributes:
        inverse_ridge: scikit-learn's C, of a logistic regression.
        trees, leaves: of boosting.
    """

    inverse_ridge: Decimal | None = None
    trees: int | None = None
    leaves: int | None = None


def required_fit(view: TemplateView) -> Fit:
    """Give what a template of a training in the room asks; `NOT_ALLOWED` for another kind."""
    if view.template.fit is None:
        raise another_kind(view)
    return view.template.fit


def signed_fit(
    session: Session,
    view: TemplateView,
    chosen: Chosen,
    purpose: Purpose,
    *,
    price: bool = False,
) -> tuple[Envelope, SealingKey]:
    """Sign a request for a training in the room, or for its price; give what it is answered to.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind; `OFF_DOMAIN`, `MALFORMED`.
    """
    chosen = _within(required_fit(view), chosen)
    key, now = SealingKey.generate(), whole_milliseconds(session.clock())
    fields: dict[str, object] = {
        "room": session.profile.card.origin,
        "institution": session.profile.member.organisation,
        "template": view.envelope.digest,
        "certificate": view.certificate.digest,
        "purpose": purpose,
        "inverse_ridge": chosen.inverse_ridge,
        "trees": chosen.trees,
        "leaves": chosen.leaves,
        "nonce": fresh_nonce(),
        "not_before": now - BACKDATED,
        "not_after": now + VALID_FOR,
        "reply_key": b64(key.public),
        "price": price,
    }
    try:
        return session.sign(FitRequest.model_validate(fields)), key
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "job", field_faults(error)) from None


async def asked_fit(
    session: Session, request: Envelope, waiting: Waiting, seconds: float
) -> job_pb2.TrainInRoomResponse:
    """Send a signed request, and again while it is being made; as `asked_until_made`."""
    ask = job_pb2.TrainInRoomRequest(request=envelope_to_proto(request))

    async def call(left: float, /) -> job_pb2.TrainInRoomResponse:
        return await session.call(session.jobs.TrainInRoom, ask, left)

    return await asked_until_made(session, call, waiting, seconds)


def _within(fit: Fit, chosen: Chosen) -> Chosen:
    """Fill in what was not chosen, and refuse what the template does not allow."""
    bounds = fit.inverse_ridge
    ridge = chosen.inverse_ridge
    if bounds is not None and ridge is None:
        ridge = min(max(Decimal(1), bounds.least), bounds.most)
    made = Chosen(
        ridge,
        fit.trees if chosen.trees is None else chosen.trees,
        fit.leaves if chosen.leaves is None else chosen.leaves,
    )
    for name, asked, least, most in (
        ("inverse_ridge", made.inverse_ridge, bounds and bounds.least, bounds and bounds.most),
        ("trees", made.trees, 1, fit.trees),
        ("leaves", made.leaves, 2, fit.leaves),
    ):
        if asked is None:
            continue
        if most is None or least is None:
            rule = f"the template's algorithm has none: {fit.algorithm}"
        elif least <= asked <= most:
            continue
        else:
            rule = f"the template allows {least} to {most}"
        raise SafeRoomError(Reason.OFF_DOMAIN, rule, [FieldFault(name, rule)])
    return made
