"""A room's configuration: `room.toml` in its folder. An unknown key is an error that names it."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from saferoom.logs import Level
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Name, Owner
from saferoom_proto.statements.base import Origin, field_faults
from saferoom_proto.toml_text import read_toml

CONFIG_FILE: Final = "room.toml"

_ADDRESS: Final = re.compile(
    r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})"
)
_MAX_PORT: Final = 65535


def split_address(address: str) -> tuple[str, int]:
    """Split `HOST:PORT`; an IPv6 address stands in brackets, which are taken off.

    Raises:
        ValueError: if it is none.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ValueError("an address is HOST:PORT")
    return match["host"].strip("[]"), int(match["port"])


def _address(address: str) -> str:
    split_address(address)
    return address


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ListenConfig(_Section):
    """Where the room is reached."""

    address: Annotated[str, AfterValidator(_address)]
    """`HOST:PORT`; what members find in the room card. Port 0 takes any free one."""
    bind: Annotated[str, AfterValidator(_address)] | None = None
    """`HOST:PORT` to bind, where that is another than `address`: behind a forwarder."""
    reflection: bool = True
    """Serve gRPC reflection, so that generic tools can list the services."""


class LimitsConfig(_Section):
    """How much may be under way."""

    connections: Annotated[int, Field(ge=8, le=100_000)] = 2048
    """Connections to the room, those that have not shown a certificate yet among them. One costs
    80 KB and a file; without a bound strangers' would leave the log none to open."""
    calls: Annotated[int, Field(ge=2, le=100_000)] = 1024
    calls_per_caller: Annotated[int, Field(ge=1, le=100_000)] = 64
    bad_requests_at_once: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Requests refused for their caller's own fault, before that caller's calls have to wait."""
    bad_requests_per_second: Annotated[float, Field(ge=0.1, le=10_000)] = 20.0
    """How fast they go on from there. One that reaches an enclave costs the room 6 ms of processor
    time (benchmarks/fairness.py): a lone one shares no commit with others."""
    streams: Annotated[int, Field(ge=2, le=10_000)] = 64
    """Loads, attending key agents and health watchers."""
    streams_per_caller: Annotated[int, Field(ge=1, le=10_000)] = 8
    batches: Annotated[int, Field(ge=2, le=1000)] = 16
    """Batches: each holds up to 20 MB of rows."""
    batches_per_caller: Annotated[int, Field(ge=1, le=1000)] = 4
    deadline_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """The longest a call may take, whatever deadline it asks for."""
    load_seconds: Annotated[float, Field(gt=0, le=86_400)] = 3600.0
    """The longest a load may take."""
    load_idle_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """The longest a load may pause between two pieces."""


class HeadsConfig(_Section):
    """How enclaves are kept up to date."""

    interval_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How often an enclave gets a fresh stream head, beside those that bring statements."""


class WitnessesConfig(_Section):
    """How witnesses come to cosign the same checkpoints."""

    interval_seconds: Annotated[float, Field(ge=0.1, le=600)] = 5.0
    """How long a checkpoint stays the one to be cosigned; witnesses ask at least as often."""


class RunBy(StrEnum):
    """Who starts an owner's enclave."""

    SERVER = "server"
    OWNER = "owner"


class EnclavesConfig(_Section):
    """Who starts the enclaves, and how the server starts its own."""

    run_by: dict[Owner, RunBy] = Field(default_factory=dict[Owner, RunBy])
    """Per owner. Whom it doesn't name, the server starts: for development and small rooms."""
    brokers: dict[Owner, Path] = Field(default_factory=dict[Owner, Path])
    """Per owner whose enclave the server starts: the folder where it listens for its broker."""
    sandbox: bool = True
    max_memory_mib: Annotated[int, Field(ge=128, le=1 << 20)] = 4096
    scratch: Path = Path("/dev/shm")  # noqa: S108 - a tmpfs, so that a load never touches a disk
    start_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    """The longest an enclave may take from its start until it listens."""

    def who_runs(self, owner: str) -> RunBy:
        """Tell who starts an owner's enclave."""
        return self.run_by.get(owner, RunBy.SERVER)


class LogConfig(_Section):
    """What the operator's log holds."""

    level: Level = Level.INFO


class MetricsConfig(_Section):
    """Where Prometheus finds what the room counts."""

    address: Annotated[str, AfterValidator(_address)] | None = None
    """`HOST:PORT` of its page, in plain HTTP; none serves no page."""


class TilesConfig(_Section):
    """Where anybody may read the log."""

    address: Annotated[str, AfterValidator(_address)] | None = None
    """`HOST:PORT` of C2SP tlog-tiles, in plain HTTP; none serves no tiles."""


class TracingConfig(_Section):
    """Where OpenTelemetry spans go."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")] | None = None
    """OTLP over HTTP, as `http://127.0.0.1:4318/v1/traces`; none traces nothing."""


class RoomConfig(_Section):
    """What `room.toml` says."""

    origin: Origin
    """The ledger's origin, which is the room's name. It stands in every statement."""
    operator: Name = "operator"
    """The organisation whose people run the room."""
    listen: ListenConfig
    limits: LimitsConfig = LimitsConfig()
    heads: HeadsConfig = HeadsConfig()
    witnesses: WitnessesConfig = WitnessesConfig()
    enclaves: EnclavesConfig = EnclavesConfig()
    log: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()
    tiles: TilesConfig = TilesConfig()
    tracing: TracingConfig = TracingConfig()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a room folder's `room.toml`.

        Raises:
            SafeRoomError: `BAD_CONFIG`; the faults name the keys.
        """
        path = folder / CONFIG_FILE
        try:
            document = read_toml(path.read_bytes())
        except OSError as error:
            raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {error.strerror}") from error
        except ValueError as error:
            faults = [FieldFault(CONFIG_FILE, str(error))]
            raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {error}", faults) from error
        try:
            config = cls.model_validate(document)
        except ValidationError as error:
            faults = field_faults(error)
            named = "; ".join(f"{fault.field}: {fault.rule}" for fault in faults)
            raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {named}", faults) from None
        config.limits_fit()
        return config

    def limits_fit(self) -> None:
        """Refuse a caller's limit above the one in all."""
        limits = self.limits
        for name, own, whole in (
            ("limits.calls_per_caller", limits.calls_per_caller, limits.calls),
            ("limits.streams_per_caller", limits.streams_per_caller, limits.streams),
            ("limits.batches_per_caller", limits.batches_per_caller, limits.batches),
        ):
            if own > whole:
                fault = FieldFault(name, f"is above the limit in all, {whole}")
                raise SafeRoomError(Reason.BAD_CONFIG, f"{name}: {fault.rule}", [fault])
        if limits.bad_requests_at_once < limits.calls_per_caller:
            # Each call under way has put down a deposit of them.
            name, least = "limits.bad_requests_at_once", "limits.calls_per_caller"
            fault = FieldFault(name, f"is below {least}, {limits.calls_per_caller}")
            raise SafeRoomError(Reason.BAD_CONFIG, f"{name}: {fault.rule}", [fault])


def listening_ports(folder: Path) -> tuple[int, ...]:
    """Give the ports on which the room in a folder listens."""
    config = RoomConfig.load(folder)
    addresses = [config.listen.bind or config.listen.address]
    if config.metrics.address is not None:
        addresses.append(config.metrics.address)
    if config.tiles.address is not None:
        addresses.append(config.tiles.address)
    return tuple(split_address(each)[1] for each in addresses)
