"""What of the room's folder is in force: its keys, certificates and issuers, while it runs.

The folder is looked at every second. What changed in it counts without a restart: a key that is
handed over, a renewed certificate, an issuer let in or shut out. A change that is half made, or
does not fit together, changes nothing. Whatever stands in a change's way is told in the log once,
and looked at again every second: no failure ends the watch, nor is a handover left unrecorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, cast

import grpc
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.archive import Archive, Found
from saferoom.evidence import Recorded
from saferoom.ledger.ledger import Ledger
from saferoom.logs import Log
from saferoom.notary import Notary
from saferoom.room import Room
from saferoom.signing import KEYS, Signer
from saferoom_proto.handover import Handover
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyHandover, load

LOOK_SECONDS: Final = 1.0
"""Two dozen `stat` calls."""

_LOOKED_AT: Final = (KEYS, "tls", "issuers")

Stamp = tuple[tuple[str, int, int, int], ...]


class InForce:
    """Keeps to a room's folder. Used in the server's event loop.

    Args:
        room: as it was opened.
        ledger: signs checkpoints.
        notary: records handovers.
        archive: finds them.
        log: the operator's.

    Attributes:
        heads: signs what the heads key signs.
    """

    def __init__(
        self, room: Room, *, ledger: Ledger, notary: Notary, archive: Archive, log: Log
    ) -> None:
        self._room = room
        self._ledger: Final = ledger
        self._notary: Final = notary
        self._archive: Final = archive
        self._log: Final = log
        self._seen: Stamp = ()
        self._told = ""
        self._served = _served(room)
        self._handovers: tuple[Found, ...] = ()
        self.heads: Final[Signer] = room.switchboard.signer

    @property
    def origin(self) -> str:
        """The room's name."""
        return self._room.config.origin

    @property
    def ledger_keys(self) -> tuple[str, ...]:
        """The keys that sign checkpoints, the one in force first."""
        return self._room.ledger.public

    @property
    def heads_keys(self) -> tuple[str, ...]:
        """The keys that sign stream heads, the one in force first."""
        return self._room.heads.public

    @property
    def issuers(self) -> tuple[str, ...]:
        """The certificates, PEM, of whoever names those that may call."""
        return self._room.issuers

    def handovers(self) -> Sequence[Recorded[KeyHandover]]:
        """Give every handover of a key of this room, with its proof."""
        return [
            self._notary.prove(each, load(each.envelope, KeyHandover)) for each in self._handovers
        ]

    def credentials(self) -> grpc.ServerCredentials:
        """Give what connections are made with: each new one as the folder has it then."""
        given = self._served

        # A thread of gRPC's calls this at every connection.
        def newest() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            now = self._served
            if now == given:
                return None  # as before
            given = now
            return _configuration(now)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(given),
            # gRPC takes None for "as before" and documents it; its types do not say so.
            cast("Callable[[], grpc.ServerCertificateConfiguration]", newest),
            require_client_authentication=True,
        )

    async def begin(self) -> None:
        """Sign as the folder has it; what is handed over stands in the log once this returns.

        The folder is read anew: it may have changed while the log was recomputed.

        Raises:
            SafeRoomError: `BAD_CONFIG`, naming what is wrong; `UNAVAILABLE` if the disk refuses.
        """
        stamp = _stamp(self._room.folder)
        await self._go_by(await self._read())
        self._seen = stamp

    async def watch(self, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the folder for ever."""
        while True:
            await wait(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Go by what changed in the folder since it was gone by last."""
        try:
            stamp = _stamp(self._room.folder)
            if stamp == self._seen:
                self._told = ""
                return
            room = await self._read()
            await self._go_by(room)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
            self._tell(f"{type(error).__name__}: {error}")
            return
        self._seen, self._told = stamp, ""
        self._log.info("the folder changed", issuers=len(room.issuers))

    def _tell(self, detail: str) -> None:
        if detail != self._told:
            self._told = detail
            self._log.warning("what changed in the folder does not count yet", detail=detail)

    async def _read(self) -> Room:
        room = await asyncio.to_thread(Room.open, self._room.folder)
        if not room.connection_issuers:
            raise SafeRoomError(Reason.BAD_CONFIG, "issuers: nobody could connect any more")
        return room

    async def _go_by(self, room: Room) -> None:
        # Step 1: everything signed from here on bears every key that signs now.
        self._ledger.sign_with(*room.ledger.signing)
        self.heads.keys = room.heads.signing
        self._room, self._served = room, _served(room)
        # Step 2: only then does the log say so. Who reads the handover in it finds both signatures
        # on every checkpoint that covers it.
        for each in (room.ledger.handover, room.heads.handover):
            if each is not None:
                await self._record(each)
        statements = await self._archive.of_kinds([KeyHandover.KIND])
        found = [await self._archive.find(each.digest) for each in statements]
        self._handovers = tuple(each for each in found if each is not None)

    async def _record(self, handover: Handover) -> None:
        says, envelope = handover.says, handover.envelope
        if await self._notary.recall(envelope.digest, says) is None:
            await self._notary.record(KeyHandover, says, envelope)
            self._log.info("key handed over", use=says.use, following=says.following)


def _served(room: Room) -> tuple[bytes, bytes, bytes]:
    """Give the server's key, its chain, and whose certificates it takes."""
    chain = room.server.certificate_pem + room.authority.public_bytes(Encoding.PEM)
    return room.server.key_pem, chain, "".join(room.connection_issuers).encode()


def _configuration(held: tuple[bytes, bytes, bytes]) -> grpc.ServerCertificateConfiguration:
    key, chain, issuers = held
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=issuers)


def _stamp(folder: Path) -> Stamp:
    """Tell the folder's files from those of another time."""
    files: list[tuple[str, int, int, int]] = []
    for part in _LOOKED_AT:
        for path in sorted((folder / part).glob("*")):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # it went while we looked; the next look finds the folder changed
            files.append((path.name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(files)
