"""Asking for a page of a list, and opening it only once all of it verifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from saferoom_client.kinds import another_kind
from saferoom_client.made import asked_until_made, heard, ignore_waiting, shown
from saferoom_client.question import BACKDATED, VALID_FOR, read_purpose
from saferoom_client.report.asking import WAITED_SECONDS
from saferoom_client.session import Session
from saferoom_client.templates import get_template
from saferoom_client.values import TemplateView
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.list_receipt import ListReceipt, VerifiedList, verify_list_receipt
from saferoom_proto.reports.listed import LIST_SEAL
from saferoom_proto.statements import ListRequest, Outcome, Purpose, Release
from saferoom_proto.statements.base import field_faults, fresh_nonce, whole_milliseconds
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto

FIRST_PAGE: Final = 1


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """An enclave's verified word on a request for a page of a list.

    Attributes:
        verified: what it shows; what was told is none if it was refused.
        receipt: what shows all of it to anybody, offline.
    """

    verified: VerifiedList
    receipt: ListReceipt

    @property
    def refused(self) -> Reason | None:
        """Why the enclave refused; none if it answered."""
        return self.verified.said.release.reason


async def ask_list(
    session: Session,
    template: str,
    *,
    code: str,
    purpose: Purpose | str,
    page: int = FIRST_PAGE,
    waited_seconds: float = WAITED_SECONDS,
) -> ListAnswer:
    """Ask who of a district or an industry stands on a register: a page of the list.

    Pages are of the records that the owner's enclave answers from when each is asked for: those of
    one list name one store, or the list changed in between.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        code: of the district or the industry, or its beginning.
        purpose: what the list is for, one of the template's purposes.
        page: which page, from 1.
        waited_seconds: how long to wait for it.

    Returns:
        The enclave's word, verified: the page, or why it refused.

    Raises:
        Refused: the room could not ask, or no enclave has judged it; `reason` says why.
        SafeRoomError: `OFF_DOMAIN` for a code or page that the template does not have; what came
            back does not verify and is not returned.
    """
    # Step 1: the template, verified; and a signed request with a fresh reply key.
    view = await get_template(session, template)
    if view.template.listing is None:
        raise another_kind(view)
    key = SealingKey.generate()
    asked = _request(session, view, (code, page), read_purpose(purpose), key)
    view.template.listing.require_within(asked.code, asked.page)
    request = session.sign(asked)
    ask = check_pb2.AskListRequest(request=envelope_to_proto(request))

    async def call(left: float, /) -> check_pb2.AskListResponse:
        return await session.call(session.checks.AskList, ask, left)

    told = await asked_until_made(session, call, ignore_waiting, waited_seconds)
    # Step 2: the enclave's word, its place in the log, and all that it names.
    word = recorded_from_proto(told.release)
    release = await heard(session, word, Release)
    # Step 3: the seal.
    opened = None
    if release.outcome is Outcome.ANSWERED:
        opened = LIST_SEAL.open_text(told.sealed, key, request.digest, release.owner)
    # Step 4: all of it once more, as anybody verifies it.
    fields = await shown(session, view, request, word, release)
    receipt = ListReceipt.model_validate({**fields, "page": opened})
    return ListAnswer(verify_list_receipt(receipt, session.profile.trust), receipt)


def _request(
    session: Session,
    view: TemplateView,
    which: tuple[str, int],
    purpose: Purpose,
    key: SealingKey,
) -> ListRequest:
    now = whole_milliseconds(session.clock())
    code, page = which
    try:
        return ListRequest(
            room=session.profile.card.origin,
            institution=session.profile.member.organisation,
            template=view.envelope.digest,
            certificate=view.certificate.digest,
            code=code,
            page=page,
            purpose=purpose,
            nonce=fresh_nonce(),
            not_before=now - BACKDATED,
            not_after=now + VALID_FOR,
            reply_key=b64(key.public),
        )
    except ValidationError as error:
        raise SafeRoomError(Reason.OFF_DOMAIN, "the list", field_faults(error)) from None
