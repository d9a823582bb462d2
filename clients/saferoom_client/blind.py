"""A blind match at the asker's: the offer is verified like an answer, then the value is matched.

The value leaves nobody's machine: what goes to the room is one ciphertext that hides it, also from
the enclave. `docs/adr/0044` says what each side learns.
"""

from __future__ import annotations

import asyncio

from saferoom_client.answers import verified_part
from saferoom_client.question import Question, make_second
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.answer import commitment
from saferoom_proto.blind import Offer, matched
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Release
from saferoom_proto.statements.request import BlindMatch
from saferoom_proto.suite import suite_of
from saferoom_proto.wire import Part


async def second_message(
    session: Session, question: Question, view: TemplateView, part: Part, tag: bytes
) -> tuple[Question, tuple[Charge, ...]]:
    """Verify an offer, and sign the second message, which matches a value's tag with it.

    Returns:
        The second message, and what the first was charged: the second costs nothing more.

    Raises:
        SafeRoomError: the offer does not verify, and nothing is matched with it.
    """
    release, answer = await verified_part(session, question, view, part)
    offer = _opened(release, answer)
    # About a second of arithmetic: other calls go on meanwhile.
    ciphertext = await asyncio.to_thread(matched, offer, tag)
    match = BlindMatch(offer=question.request_id, ciphertext=b64(ciphertext))
    return make_second(session.profile, question, match), release.charges


def _opened(release: Release, answer: bytes) -> Offer:
    suite = suite_of(release.request)
    if commitment(answer, suite) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not the offer that the release commits to")
    return Offer.of_answer(answer)
