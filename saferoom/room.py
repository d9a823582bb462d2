"""A room's folder: made once by `init_room`, opened by the server.

room.toml         configuration
room-card.json    what members pin; public
keys/             ledger.pem signs checkpoints, heads.pem signs stream heads and refusals; beside
                  them what follows them, while they are handed over (signing.py)
tls/              ca.pem is what members pin, server.pem and server.key are served;
                  switchboard.pem and .key are what enclaves pin
issuers/          the identity issuers' certificates: whoever they name may call
state.db          statements, the ledger, answers
cosigned.json     what witnesses cosigned last
enclaves/OWNER/   each enclave's own folder: its sealed store and state
run/              sockets
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import TypeAdapter, ValidationError

from saferoom import tls
from saferoom.config import CONFIG_FILE, ListenConfig, RoomConfig, split_address
from saferoom.signing import KEYS, RoomKey, Signer, read_part
from saferoom.switchboard import NAME, OwnEnd, make_switchboard
from saferoom_proto.encoding import dump
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.signing_certificate import suite_of_certificate
from saferoom_proto.statements import KeyUse
from saferoom_proto.statements.base import Origin, field_faults
from saferoom_proto.suite import Suite

CARD_FILE: Final = "room-card.json"
RESTORED: Final = "restored.json"
"""Stands in a folder that was restored from a backup and waits for confirmation."""


@dataclass(frozen=True, slots=True)
class RoomCard:
    """What a member pins when it joins: how to reach the room, and the keys it signs with.

    Attributes:
        origin: the room's name.
        address: `HOST:PORT`.
        tls_root: the certificate, PEM, under which the server's stands.
        ledger_key: signs checkpoints; base64.
        heads_key: signs stream heads and the room's refusals; base64.
    """

    origin: str
    address: str
    tls_root: str
    ledger_key: str
    heads_key: str

    def to_json(self) -> bytes:
        """Write the card's file."""
        return dump(asdict(self)) + b"\n"


@dataclass(frozen=True, slots=True)
class Room:
    """An opened room folder. Its text form shows no key."""

    folder: Path
    config: RoomConfig
    ledger: RoomKey
    heads: RoomKey
    server: tls.KeyPair
    authority: x509.Certificate
    switchboard: OwnEnd
    issuers: tuple[str, ...] = field(repr=False)
    """The identity issuers' certificates, PEM."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a room's folder.

        Its certificate for the enclaves is made anew where it was taken out of the folder.

        Raises:
            SafeRoomError: `BAD_CONFIG`, naming the file or key that is wrong.
        """
        config = RoomConfig.load(folder)
        heads = RoomKey.read(folder, KeyUse.HEADS, config.origin)
        return cls(
            folder,
            config,
            RoomKey.read(folder, KeyUse.LEDGER, config.origin),
            heads,
            _read_pair(folder / "tls", "server"),
            x509.load_pem_x509_certificate(read_part(folder / "tls" / "ca.pem")),
            OwnEnd.of(_switchboard(folder / "tls"), config.origin, Signer(*heads.signing)),
            read_issuers(folder),
        )

    @property
    def suite(self) -> Suite:
        """What the room was made with, and all that is signed in it is made with."""
        return self.ledger.current.suite

    @property
    def connection_issuers(self) -> tuple[str, ...]:
        """The issuers' certificates under which connections are taken: none of SM2's, PEM."""
        return tuple(
            pem
            for pem in self.issuers
            if suite_of_certificate(x509.load_pem_x509_certificate(pem.encode()))
            is Suite.INTERNATIONAL
        )

    @property
    def ledger_key(self) -> SigningKey:
        """Signs checkpoints."""
        return self.ledger.current

    @property
    def heads_key(self) -> SigningKey:
        """Signs stream heads and refusals."""
        return self.heads.current

    @property
    def state_file(self) -> Path:
        """The server's database."""
        return self.folder / "state.db"

    def card(self, following: KeyUse | None = None) -> RoomCard:
        """Give what members pin; of one use, if that is said, the key that follows."""
        ledger, heads = self.ledger.public, self.heads.public
        return RoomCard(
            self.config.origin,
            self.config.listen.address,
            self.authority.public_bytes(Encoding.PEM).decode(),
            ledger[-1 if following is KeyUse.LEDGER else 0],
            heads[-1 if following is KeyUse.HEADS else 0],
        )


def read_card(path: Path) -> RoomCard:
    """Read a room's card.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it is none.
    """
    try:
        return TypeAdapter(RoomCard).validate_json(read_part(path))
    except ValidationError as error:
        raise SafeRoomError(
            Reason.BAD_CONFIG, f"{path}: no room's card", field_faults(error)
        ) from None


def init_room(
    folder: Path,
    origin: str,
    address: str,
    now: datetime | None = None,
    suite: Suite = Suite.INTERNATIONAL,
) -> RoomCard:
    """Make a room in an empty or new folder: its keys, certificates, configuration and card.

    Args:
        folder: where.
        origin: the room's name: a host name without a scheme, and a path.
        address: `HOST:PORT` at which members will reach it.
        now: from when the certificates count.
        suite: of its keys, and so of everything that is signed in it, for good.

    Returns:
        The card for the members, also written to `room-card.json`.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the folder is not empty or a value is not usable.
    """
    # Step 1: nothing is made before every value is known to be good.
    host = _checked(origin, address)
    if folder.exists() and any(folder.iterdir()):
        raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} is not empty")
    # Step 2: the folders. Only the operator reads them: the card is handed out.
    for part in (KEYS, "tls", "issuers", "enclaves", "run"):
        (folder / part).mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    # Step 3: the keys, and the certificates under the room's own authority.
    instant = now or datetime.now(UTC)
    for use in KeyUse:
        _write(folder / KEYS / f"{use}.pem", SigningKey.generate(suite).to_pem())
    authority = tls.make_authority(origin, instant)
    hosts = tuple(dict.fromkeys((host, "localhost", "127.0.0.1")))
    server = tls.make_server(authority, hosts, instant)
    _write(folder / "tls" / "ca.pem", authority.certificate_pem)
    _write(folder / "tls" / "ca.key", authority.key_pem)
    _write(folder / "tls" / "server.pem", server.certificate_pem)
    _write(folder / "tls" / "server.key", server.key_pem)
    _make_switchboard(folder / "tls", instant)
    # Step 4: the configuration, and the card.
    text = resources.files("saferoom").joinpath("default.toml").read_text("utf-8")
    # JSON's form of a text is TOML's, for texts as plain as these.
    text = text.replace("@{origin}", json.dumps(origin)).replace("@{address}", json.dumps(address))
    _write(folder / CONFIG_FILE, text.encode())
    card = Room.open(folder).card()
    _write(folder / CARD_FILE, card.to_json())
    return card


def add_issuer(folder: Path, name: str, certificate: bytes, source: Path | None = None) -> None:
    """Let an identity issuer's certificates in; a server that runs sees it within a second.

    Args:
        folder: the room's.
        name: of the file.
        certificate: the issuer's own certificate, PEM.
        source: where it was read, if anywhere: a refusal names that.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it is no issuer's certificate, or the name is taken.
    """
    path = folder / "issuers" / f"{name}.pem"
    _require_issuer(certificate, source or path)
    if path.exists():
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path} is there already")
    _write(path, certificate)


def read_issuers(folder: Path) -> tuple[str, ...]:
    """Read the identity issuers' certificates, PEM, in order of their files' names."""
    paths = sorted((folder / "issuers").glob("*.pem"))
    return tuple(_require_issuer(read_part(path), path) for path in paths)


def _switchboard(folder: Path) -> tls.KeyPair:
    """Read the certificate for the enclaves; made anew where it was taken out of the folder."""
    if not (folder / f"{NAME}.pem").exists():
        (folder / f"{NAME}.key").unlink(missing_ok=True)
        _make_switchboard(folder, datetime.now(UTC))
    return _read_pair(folder, NAME)


def _make_switchboard(folder: Path, now: datetime) -> None:
    pair = make_switchboard(now)
    _write(folder / f"{NAME}.key", pair.key_pem)
    _write(folder / f"{NAME}.pem", pair.certificate_pem)


def _read_pair(folder: Path, name: str) -> tls.KeyPair:
    return tls.KeyPair.from_pem(
        read_part(folder / f"{name}.pem"), read_part(folder / f"{name}.key")
    )


def _require_issuer(certificate: bytes, path: Path) -> str:
    """Give the certificate alone: whatever stands around it is not the room's."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        basic = parsed.extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: not an issuer's certificate") from error
    if not basic.value.ca:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: it may not issue certificates")
    return parsed.public_bytes(Encoding.PEM).decode()


def _checked(origin: str, address: str) -> str:
    """Check an origin and an address; gives the address's host."""
    try:
        TypeAdapter[str](Origin).validate_python(origin)
        ListenConfig(address=address)
    except ValidationError as error:
        # What is checked alone has no name of its own.
        faults = [
            FieldFault("origin" if one.field == "(whole)" else one.field, one.rule)
            for one in field_faults(error)
        ]
        named = "; ".join(f"{fault.field}: {fault.rule}" for fault in faults)
        raise SafeRoomError(Reason.BAD_CONFIG, named, faults) from None
    return split_address(address)[0]


def _write(path: Path, data: bytes) -> None:
    """Write a new file that only its owner reads."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(data)
