"""A server that was taken over: it has the room's folder and keys, and lies.

The demo and the attack tests run it in place of the honest one. It gives the enclaves whatever it
likes in their streams and puts questions to them past every check of the server's own; what it
can't do is sign for others. Each attempt's outcome is printed, one line for each.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom.logs import Level, make_log
from saferoom.room import Room
from saferoom.server import Server, utc_now
from saferoom.session import Session
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import (
    Approval,
    CheckRequest,
    Release,
    Template,
    load,
    seal_statement,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.suite import Suite
from saferoom_proto.uscc import make_uscc

UNLOCK_SECONDS: Final = 30.0
ANSWERED: Final = "ANSWERED"


@dataclass(frozen=True, slots=True)
class Loot:
    """What the attacker works with: statements of others, and a key of its own.

    Attributes:
        template: an approved template, altered after the approval.
        certificate: the release certificate that the altered one gives.
        altered_question: a bank's own signed question that names the altered template.
        altered_again: another one, since a question's verdict stands once it is given.
        genuine_question: a bank's signed question that would be answered.
        own: the attacker's key.
    """

    template: Envelope
    certificate: Envelope
    altered_question: Envelope
    altered_again: Envelope
    genuine_question: Envelope
    own: SigningKey

    @classmethod
    def read(cls, folder: Path, suite: Suite) -> Loot:
        """Read the statements from a folder, and make a key of the room's suite."""

        def open_one(name: str) -> Envelope:
            return Envelope.from_json((folder / f"{name}.json").read_bytes())

        return cls(
            template=open_one("altered-template"),
            certificate=open_one("altered-certificate"),
            altered_question=open_one("altered-question"),
            altered_again=open_one("altered-again"),
            genuine_question=open_one("genuine-question"),
            own=SigningKey.generate(suite),
        )


class DishonestServer:
    """Lies to the enclaves of an open room.

    Args:
        server: the room, opened with its real keys.
        loot: what the attacker has.
        owner: whose enclave it attacks.
    """

    def __init__(self, server: Server, loot: Loot, owner: str) -> None:
        self._server: Final = server
        self._loot: Final = loot
        self._owner: Final = owner

    async def attempts(self) -> list[tuple[str, str]]:
        """Make every attempt; gives each with the reason it was refused for, or `ANSWERED`."""
        tries: tuple[tuple[str, Callable[[], Awaitable[Envelope]]], ...] = (
            ("a question made up in the bank's name", self._made_up),
            ("the bank's own question with another subject in it", self._altered_subject),
            ("a template altered after its approval", self._altered_template),
            ("the altered template with approvals the server signed", self._forged_approvals),
        )
        return [(name, await self._outcome(await attempt())) for name, attempt in tries]

    async def _made_up(self) -> Envelope:
        genuine = load(self._loot.genuine_question, CheckRequest)
        nonce = genuine.nonce[::-1].lstrip("=").ljust(24, "=")
        return seal_statement(genuine.model_copy(update={"nonce": nonce}), self._loot.own)

    async def _altered_subject(self) -> Envelope:
        genuine = self._loot.genuine_question
        subject = load(genuine, CheckRequest).subject
        other = next(code for code in (make_uscc(1), make_uscc(2)) if code != subject)
        payload = genuine.payload.replace(subject.encode(), other.encode())
        return Envelope.read(genuine.media_type, payload, genuine.signatures)

    async def _altered_template(self) -> Envelope:
        template, certificate = self._loot.template, self._loot.certificate
        await self._tell(Template, template)
        await self._tell(ReleaseCertificate, certificate)
        return self._loot.altered_question

    async def _forged_approvals(self) -> Envelope:
        charter = self._server.books.register.charter(self._owner)
        for approver in charter.charter.approvers:
            approval = Approval(
                room=charter.charter.room,
                owner=self._owner,
                approver=approver.name,
                charter=charter.digest,
                template=self._loot.template.digest,
                certificate=self._loot.certificate.digest,
                at=whole_milliseconds(utc_now()),
            )
            own = seal_statement(approval, self._loot.own)
            # Under the approver's name: an enclave that goes by key ids alone would take it.
            named = Signature(charter.key_of(approver.name).keyid, own.signatures[0].sig)
            await self._tell(Approval, Envelope.read(own.media_type, own.payload, (named,)))
        return self._loot.altered_again

    async def _tell(
        self, kind: type[Template | ReleaseCertificate | Approval], statement: Envelope
    ) -> None:
        """Put a statement into the owner's stream, unverified, and deliver it."""
        await self._server.books.notary.record(kind, None, statement, owners=(self._owner,))
        await self._server.links.deliver((self._owner,))

    async def _outcome(self, question: Envelope) -> str:
        try:
            judged = await self._session().judge(question)
        except SafeRoomError as error:
            return error.reason
        return load(judged.entry.statement, Release).reason or ANSWERED

    def _session(self) -> Session:
        return self._server.links.serving(self._owner)

    async def wait(self) -> None:
        """Wait until the enclave has its key and serves."""
        async with asyncio.timeout(UNLOCK_SECONDS):
            while True:
                try:
                    self._session()
                except SafeRoomError:
                    await asyncio.sleep(0.05)
                else:
                    return


async def attack(room: Path, loot: Path, owner: str) -> list[tuple[str, str]]:
    """Take a room over and make every attempt on an owner's enclave."""
    opened = Room.open(room)
    server = await Server.open(opened, log=make_log(Level.ERROR))
    try:
        dishonest = DishonestServer(server, Loot.read(loot, opened.suite), owner)
        await dishonest.wait()
        return await dishonest.attempts()
    finally:
        await server.close()


def main() -> None:
    """Run the attack: `python -m saferoom.dishonest ROOM LOOT OWNER`."""
    room, loot, owner = sys.argv[1:]
    for attempt, outcome in asyncio.run(attack(Path(room), Path(loot), owner)):
        sys.stdout.write(f"{attempt} -> {outcome}\n")


if __name__ == "__main__":
    main()
