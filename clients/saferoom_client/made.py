"""What an enclave makes of many records at one request: tables, a model, a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from saferoom_client.heads import require_witnessed
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    FitRelease,
    JobAdmission,
    JobRelease,
    Release,
    TableRelease,
)
from saferoom_proto.wire import Recorded

VALID_FOR: Final = timedelta(minutes=9)
"""What is made of a large store takes minutes; what allowed it is looked at again at its end."""
WAITED_SECONDS: Final = 540.0
"""How long it is waited for: as long as the request is valid."""
_AGAIN: Final = frozenset({Reason.DEADLINE})
"""The room ends a call after its deadline; it goes on making it, and is asked again."""

Waiting = Callable[[], None]
"""Told each time that the room is asked again."""
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
W = TypeVar("W", TableRelease, FitRelease, Release, JobAdmission, JobRelease)


def ignore_waiting() -> None:
    """Show nothing."""


class Call(Protocol[A_co]):
    """One try of a call, with a deadline in seconds."""

    async def __call__(self, seconds: float, /) -> A_co:
        """Call."""
        ...


async def asked_until_made(session: Session, call: Call[A], waiting: Waiting, seconds: float) -> A:
    """Ask, and ask again while it is being made."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        left = max(0.1, end - clock())
        try:
            return await call(min(left, session.deadline_seconds))
        except Refused as refused:
            if refused.reason not in _AGAIN or clock() >= end:
                raise
        waiting()


async def heard(session: Session, told: Recorded, kind: type[W]) -> W:
    """Give an enclave's word of a kind, verified: it, its place in the log, and all that it names.

    Raises:
        SafeRoomError: as `Grounds.require_recorded`, `require_witnessed` and `Grounds.word`.
    """
    session.grounds.require_recorded(told)
    await require_witnessed(session)
    release, _ = await session.grounds.word(told.statement, kind)
    return release


async def shown(
    session: Session,
    view: TemplateView,
    request: Envelope,
    word: Recorded,
    release: TableRelease | FitRelease | Release,
) -> dict[str, object]:
    """Gather the statements that an enclave's word names: the fields of a receipt but one."""
    return {
        **shown_asked(view, request),
        **await shown_of(session, view, word, release),
    }


def shown_asked(view: TemplateView, request: Envelope) -> dict[str, object]:
    """Gather what was asked, of however many owners: it stands once in a receipt."""
    return {
        "request": _text(request),
        "template": _text(view.envelope),
        "certificate": view.certificate.to_bytes().decode(),
    }


async def shown_of(
    session: Session,
    view: TemplateView,
    word: Recorded,
    release: TableRelease | FitRelease | Release | JobAdmission,
) -> dict[str, object]:
    """Gather the statements that one owner's word names: the fields of its part of a receipt."""
    statement = session.grounds.statement
    part = view.certificate.part(release.owner)
    charter = await statement(release.charter)
    return {
        "owner": release.owner,
        "charters": (_text(charter),),
        "features": tuple(_text(view.statements[use.feature]) for use in part.features),
        "approvals": tuple([_text(await statement(digest)) for digest in release.approvals]),
        "agreement": _text(await statement(release.agreement)),
        "endorsement": _text(await statement(release.endorsement)),
        "release": _text(word.statement),
        "salt": b64(word.salt),
        "proof": word.proof,
        "handovers": session.grounds.handovers_to(release.owner, charter),
    }


def _text(envelope: Envelope) -> str:
    return envelope.to_json().decode()
