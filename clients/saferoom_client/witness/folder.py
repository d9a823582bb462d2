"""A witness's folder: its key, the log it watches, and how far it has seen it.

witness.json  its name, and the log: origin and key
witness.key   Ed25519 or ML-DSA-44; signs cosignatures
witness.pub   its verifier key, for everybody who pins it
seen.json     the newest checkpoint, stored before it was cosigned
witness.prom  how it does, for Prometheus' textfile collector
evidence/     what the room signed that can not both be true
profile/      the witness's own member folder of the room
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from saferoom_client.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    alone_with,
    bad_file,
    make_folder,
    read_model,
    read_private,
    refuse_existing,
    require_folder_with,
    write_file,
    write_model,
)
from saferoom_client.profile import RoomCard
from saferoom_client.seen_log import SeenLog
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.cosignature import Algorithm, Cosigner
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import PublicKey
from saferoom_proto.statements.base import Origin, Part

WATCHED: Final = "witness.json"
KEY: Final = "witness.key"
PUBLIC: Final = "witness.pub"
SEEN: Final = "seen.json"
FIGURES: Final = "witness.prom"
EVIDENCE: Final = "evidence"
PROFILE: Final = "profile"
_LOCK: Final = "lock"


class Misdeed(StrEnum):
    """How a room's log is not what an honest one is."""

    NOT_SIGNED = "not-signed"
    """A head that the log's pinned key did not sign."""
    TRUNCATED = "truncated"
    """Fewer entries than before."""
    FORKED = "forked"
    """Two trees of one size."""
    REWRITTEN = "rewritten"
    """More entries, which do not begin with those before."""
    VIOLATED = "violated"
    """An entry that should not stand there as it does; told by a witness that judges."""


class Watched(Part):
    """Which log a witness watches, and under which name."""

    name: str
    origin: Origin
    ledger_key: PublicKey


class Evidence(Part):
    """What a room signed: enough for anybody who holds its ledger key to see the misdeed."""

    misdeed: Misdeed
    what: str
    """In words."""
    origin: Origin
    ledger_key: PublicKey
    seen: str
    """The checkpoint that was cosigned last; empty if there was none."""
    shown: str
    """The one that was shown then."""
    proof: tuple[str, ...]
    """The consistency proof that came with it, in hex."""


@dataclass(frozen=True, slots=True)
class Witness:
    """An opened folder. Its text form shows no key."""

    folder: Path
    watched: Watched
    cosigner: Cosigner = field(repr=False)

    @classmethod
    def create(cls, folder: Path, name: str, algorithm: Algorithm, card: RoomCard) -> Self:
        """Make a witness of a room's log, with a fresh key.

        Raises:
            SafeRoomError: `BAD_CONFIG` if there is one already; `MALFORMED` for its name.
        """
        cosigner = Cosigner.generate(name, algorithm)
        watched = Watched(name=name, origin=card.origin, ledger_key=card.ledger_key)
        make_folder(folder)
        for each in (WATCHED, KEY, PUBLIC):
            refuse_existing(folder / each)
        write_file(folder / KEY, cosigner.to_pem())
        write_file(folder / PUBLIC, f"{cosigner.key.text}\n".encode(), PUBLIC_FILE)
        write_model(folder / WATCHED, watched, PUBLIC_FILE)
        return cls(folder, watched, cosigner)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a witness's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file.
        """
        require_folder_with(folder, WATCHED)
        watched = read_model(folder / WATCHED, Watched)
        path = folder / KEY
        try:
            cosigner = Cosigner.from_pem(watched.name, read_private(path))
        except SafeRoomError as error:
            raise error if error.fields else bad_file(path, error.detail) from error
        return cls(folder, watched, cosigner)

    @property
    def log_key(self) -> VerifyKey:
        """The key that signs the log's checkpoints."""
        return VerifyKey.from_public(self.watched.ledger_key)

    def go_by(self, ledger_key: str) -> Witness:
        """Watch the log under the key that its former one handed over to, durably."""
        if ledger_key == self.watched.ledger_key:
            return self
        watched = self.watched.model_copy(update={"ledger_key": ledger_key})
        write_model(self.folder / WATCHED, watched, PUBLIC_FILE)
        return replace(self, watched=watched)

    @property
    def seen(self) -> SeenLog | None:
        """How far it has come; none before its first look."""
        path = self.folder / SEEN
        return read_model(path, SeenLog) if path.exists() else None

    @property
    def seen_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that it stored."""
        return None if self.seen is None else self.seen.head

    def keep(self, note: str) -> None:
        """Store a verified checkpoint; only once this returns may it be cosigned."""
        if self.seen != (seen := SeenLog(checkpoint=note)):
            write_model(self.folder / SEEN, seen)

    def accuse(
        self, misdeed: Misdeed, what: str, shown: str, proof: tuple[bytes, ...] = ()
    ) -> Path:
        """Keep what shows a misdeed; the same one is kept once."""
        seen = self.seen
        evidence = Evidence(
            misdeed=misdeed,
            what=what,
            origin=self.watched.origin,
            ledger_key=self.watched.ledger_key,
            seen="" if seen is None else seen.checkpoint,
            shown=shown,
            proof=tuple(each.hex() for each in proof),
        )
        digest = hashlib.sha256(evidence.model_dump_json().encode()).hexdigest()
        path = make_folder(self.folder / EVIDENCE) / f"{misdeed}-{digest[:16]}.json"
        if not path.exists():
            write_model(path, evidence)
        return path

    def evidence(self) -> list[Path]:
        """List what was kept of misdeeds."""
        return sorted((self.folder / EVIDENCE).glob("*.json"))

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep any other process from watching with this folder meanwhile.

        Raises:
            SafeRoomError: `BAD_CONFIG` if one does.
        """
        lock = self.folder / _LOCK
        lock.touch(PRIVATE_FILE)
        with alone_with(lock, bad_file(self.folder, "another process watches with it")):
            yield

    def show_figures(self, cosigned_at: int) -> None:
        """Write how it does, for Prometheus."""
        checkpoint = self.seen_checkpoint
        figures = (
            ("size", "Entries of the newest checkpoint.", checkpoint.size if checkpoint else 0),
            ("cosigned_timestamp_seconds", "When it was last cosigned.", cosigned_at),
            ("misdeeds", "Pieces of evidence against the room.", len(self.evidence())),
        )
        lines = [
            f"# HELP saferoom_witness_{name} {about}\n# TYPE saferoom_witness_{name} gauge\n"
            f'saferoom_witness_{name}{{origin="{self.watched.origin}"}} {value}\n'
            for name, about, value in figures
        ]
        write_file(self.folder / FIGURES, "".join(lines).encode(), PUBLIC_FILE)
