"""How an enclave is started: one JSON document on its standard input, one line on its output."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from saferoom_enclaves.attest import Confinement
from saferoom_enclaves.children.forkserver import Terms
from saferoom_enclaves.sandbox import SandboxPlan, interpreter_paths
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import parse_object
from saferoom_proto.premises import PinnedSwitchboard, open_switchboard
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Charter, load
from saferoom_proto.statements.base import Owner
from saferoom_proto.verification import PinnedCharter, open_charter

DOCUMENT_LIMIT_BYTES: Final = 1 << 20
PACKAGES: Final = ("saferoom_enclaves", "saferoom_proto", "saferoom_models", "grpc")
"""Whose folders an enclave's processes may read; gRPC stands for all that is installed."""
_PRIVATE: Final = 0o700
_NAME_HEX: Final = 16

_Path = Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,4094}$")]


class LaunchConfig(BaseModel):
    """What an enclave is told at its start. Its paths are absolute."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    owner: Owner
    folder: _Path
    """For its state and its sealed snapshots."""
    socket: _Path
    """Where it listens; its folder is there."""
    broker: _Path | None = None
    """Where it listens for its broker, in a folder of its own; none where it has no broker."""
    charter: Annotated[str, StringConstraints(max_length=DOCUMENT_LIMIT_BYTES)]
    """The owner's charter: a DSSE envelope, JSON."""
    switchboard: Annotated[str, StringConstraints(max_length=DOCUMENT_LIMIT_BYTES)]
    """The room's statement of the one certificate that the enclave takes from whoever connects."""
    scratch: _Path = "/dev/shm"  # noqa: S108 - a store is built in memory, never on a disk
    """A folder on tmpfs; the enclave makes one of its own in it, for the child that builds."""
    max_memory_mib: Annotated[int, Field(ge=256, le=1 << 20)] = 4096
    """Of address space, for the enclave and for each child: what is mapped, not what is used."""
    max_feature_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """The longest that one feature may take over the store; then it is left out."""
    sandbox: bool = True
    die_with_parent: bool = False

    @classmethod
    def from_json(cls, document: bytes) -> LaunchConfig:
        """Read the document.

        Raises:
            SafeRoomError: `BAD_CONFIG`, naming the keys.
        """
        try:
            parse_object(document, DOCUMENT_LIMIT_BYTES)
            return cls.model_validate_json(document)
        except SafeRoomError as error:
            raise SafeRoomError(Reason.BAD_CONFIG, error.detail, error.fields) from error
        except ValidationError as error:
            faults = [
                FieldFault(".".join(str(part) for part in fault["loc"]), fault["msg"])
                for fault in error.errors(
                    include_url=False, include_context=False, include_input=False
                )
            ]
            keys = ", ".join(f"{fault.field}: {fault.rule}" for fault in faults)
            raise SafeRoomError(Reason.BAD_CONFIG, keys, faults) from None


@dataclass(frozen=True, slots=True)
class Launched:
    """An enclave about to start: its configuration, checked against the host.

    Attributes:
        config: the launch document.
        charter: the owner's charter.
        switchboard: whom the enclave lets in.
        folder: for state and sealed snapshots.
        scratch: the enclave's own folder in memory.
    """

    config: LaunchConfig
    charter: PinnedCharter
    switchboard: PinnedSwitchboard
    folder: Path
    scratch: Path

    @classmethod
    def prepare(cls, config: LaunchConfig) -> Launched:
        """Check the charter and the room's certificate, and make what the sandbox must find.

        Raises:
            SafeRoomError: `BAD_CHARTER`, `BAD_SIGNATURE`, `MALFORMED`, `BAD_CONFIG`.
        """
        charter = _open_charter(config)
        switchboard = open_switchboard(Envelope.from_text(config.switchboard), charter)
        folder = Path(config.folder).resolve()
        if not folder.is_dir() or not Path(config.socket).parent.is_dir():
            raise SafeRoomError(Reason.BAD_CONFIG, "the folder, or the socket's, is not there")
        if config.broker is not None and not Path(config.broker).parent.is_dir():
            raise SafeRoomError(Reason.BAD_CONFIG, "the folder for its broker is not there")
        for left in (config.socket, config.broker):  # a killed enclave leaves its own behind
            if left is not None:
                Path(left).unlink(missing_ok=True)
        scratch = _make_scratch(Path(config.scratch), folder)
        return cls(config, charter, switchboard, folder, scratch)

    def plan(self) -> SandboxPlan:
        """Give what the process keeps when it confines itself."""
        return SandboxPlan(
            read_only=interpreter_paths(*PACKAGES),
            read_write=(self.folder,),
            socket_folders=tuple(
                Path(each).parent.resolve()
                for each in (self.config.socket, self.config.broker)
                if each is not None
            ),
            address_space_bytes=self.config.max_memory_mib << 20,
            die_with_parent=self.config.die_with_parent,
        )

    def terms(self) -> Terms:
        """Give how the fork server confines itself: it sees no store, and makes no socket."""
        return Terms(
            sandbox=self.config.sandbox,
            read_only=tuple(map(str, interpreter_paths(*PACKAGES))),
            scratch=str(self.scratch),
            address_space_bytes=self.config.max_memory_mib << 20,
        )

    def require(self, confinement: Confinement) -> None:
        """Refuse with `SANDBOX_TOO_WEAK` what is below the charter's minimum."""
        least = self.charter.charter.min_sandbox_level
        if confinement.level < least:
            missing = "; ".join(confinement.missing)
            detail = f"level {confinement.level} of {least}; missing: {missing}"
            raise SafeRoomError(Reason.SANDBOX_TOO_WEAK, detail)


def _open_charter(config: LaunchConfig) -> PinnedCharter:
    """Open the charter under the root that it names itself.

    Whether that is the owner's root is for the key agent to say: it finds the charter's digest in
    the evidence, and it keeps the keys.
    """
    envelope = Envelope.from_text(config.charter)
    charter = open_charter(envelope, load(envelope, Charter).root)
    if charter.charter.owner != config.owner:
        raise SafeRoomError(Reason.BAD_CHARTER, f"not the charter of {config.owner}")
    return charter


def _make_scratch(memory: Path, folder: Path) -> Path:
    """Make the enclave's own folder in memory, or take the one it left; nobody else's."""
    own = hashlib.sha256(os.fsencode(folder)).hexdigest()[:_NAME_HEX]
    scratch = memory / f"saferoom-{own}"
    try:
        scratch.mkdir(mode=_PRIVATE)
    except FileExistsError:
        found = scratch.lstat()
        if (found.st_mode, found.st_uid) != (stat.S_IFDIR | _PRIVATE, os.geteuid()):
            raise SafeRoomError(Reason.BAD_CONFIG, f"{scratch} is not this enclave's") from None
        for left in scratch.iterdir():  # by a killed load; these are records
            shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{scratch}: {error.strerror}") from error
    return scratch
