"""The roll: with which certificates enrolled organisations' members have called.

Identity issuers name people, and the room meets them when they call. The operator sees here who
they are, and by which fingerprint one is revoked. Subjects do not stand on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.archive import Archive, Principal
from saferoom.evidence import Caller
from saferoom.ledger.ledger import Ledger
from saferoom.register import Register
from saferoom.state.rows import PrincipalRow
from saferoom_proto.reasons import SafeRoomError


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A member's certificate on the roll.

    Attributes:
        principal: whose it is, and since when it is known.
        ends: when it ends.
        revoked: whether its issuer has revoked it.
    """

    principal: Principal
    ends: datetime
    revoked: bool


class Roll:
    """Keeps the roll. Used in one event loop.

    Args:
        ledger: stores it.
        archive: reads it.
        register: knows organisations and revoked certificates.
        clock: gives the instant.
    """

    def __init__(
        self, ledger: Ledger, archive: Archive, register: Register, clock: Callable[[], datetime]
    ) -> None:
        self._ledger: Final = ledger
        self._archive: Final = archive
        self._register: Final = register
        self._clock: Final = clock
        self._known: Final[set[str]] = set()
        self._writing: Final[set[asyncio.Task[None]]] = set()

    def met(self, caller: Caller, certificate: x509.Certificate) -> None:
        """Put a caller's certificate on the roll, if it is an enrolled organisation's and new.

        The call does not wait for it: who calls again is put down again if it got lost.
        """
        print_ = caller.identity.fingerprint
        if print_ in self._known or not self._register.is_enrolled(caller.organisation):
            return
        self._known.add(print_)
        row = PrincipalRow(
            print_,
            caller.organisation,
            caller.identity.name,
            (),
            certificate.public_bytes(Encoding.PEM).decode(),
        )
        task = asyncio.create_task(self._write(row))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing)

    async def certificates(self, organisation: str = "") -> tuple[Enrolled, ...]:
        """Give the roll, of one organisation or of all, by organisation and name."""
        return tuple(
            Enrolled(
                each,
                x509.load_pem_x509_certificate(each.certificate.encode()).not_valid_after_utc,
                self._register.is_revoked(each.fingerprint, self._clock()),
            )
            for each in await self._archive.principals()
            if organisation in ("", each.organisation)
        )

    async def _write(self, row: PrincipalRow) -> None:
        try:
            await self._ledger.store(row)
        except SafeRoomError:
            # It stands there from an earlier run, or the disk refuses, and then much else does.
            return
