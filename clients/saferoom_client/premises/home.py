"""A supervisor's folder: whose enclave it starts, under which charter, with what.

enclave.json      what was decided when the folder was made
supervisor.key    of the room's suite; signs what it started, for the key agent
charter.json      the newest charter that it has verified; the owner may put the first one here
switchboard.json  the newest statement of the room's certificate that it has verified
state/            the enclave's own: its sealed store and state
exchange/         what it shares with the relay, unless another folder is named
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Generic, Self, TypeVar

from pydantic import Field

from saferoom_client.files import (
    bad_file,
    make_folder,
    read_model,
    read_private,
    refuse_existing,
    require_folder_with,
    write_file,
    write_model,
)
from saferoom_client.premises.exchange import (
    CHARTER,
    SWITCHBOARD,
    Exchange,
    Order,
    fitting,
    read_untrusted,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.premises import PinnedSwitchboard, open_switchboard
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.roots import follow_root, open_followed
from saferoom_proto.statements import Charter, RootHandover, load
from saferoom_proto.statements.base import Digest, Origin, Owner, Part, PublicKey
from saferoom_proto.verification import PinnedCharter

CONFIG: Final = "enclave.json"
KEY: Final = "supervisor.key"
STATE: Final = "state"
EXCHANGE: Final = "exchange"
BROKER_SOCKET: Final = "s"

T = TypeVar("T")
Refused = Callable[[SafeRoomError], None]


class HomeConfig(Part):
    """Whose enclave is started, and how."""

    room: Origin
    owner: Owner
    charter_root: PublicKey
    """Only a charter that this key signed counts."""
    last_charter: Digest | None = None
    """And the last one of the root that handed over to it; none if none did."""
    exchange: str = EXCHANGE
    """What is shared with the relay; from this folder, if the path is not absolute."""
    broker: str | None = None
    """What is shared with the broker; none where the enclave has no broker."""
    max_memory_mib: Annotated[int, Field(ge=256, le=1 << 20)] = 4096
    """Of address space: what is mapped, not what is used."""
    scratch: str = "/dev/shm"  # noqa: S108 - a store is built in memory, never on a disk
    sandbox: bool = True
    start_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What the enclave is to be started with, each part verified under the pinned root."""

    order: Order
    charter: PinnedCharter
    switchboard: PinnedSwitchboard


@dataclass(frozen=True, slots=True)
class Home:
    """A supervisor's folder, opened. Its text form shows no key."""

    folder: Path
    config: HomeConfig
    key: SigningKey = field(repr=False)

    @classmethod
    def create(cls, folder: Path, config: HomeConfig) -> Self:
        """Make a supervisor's folder and key.

        Raises:
            SafeRoomError: `BAD_CONFIG` if there is one already.
        """
        make_folder(folder)
        for name in (CONFIG, KEY):
            refuse_existing(folder / name)
        suite = VerifyKey.from_public(config.charter_root).suite
        home = cls(folder, config, SigningKey.generate(suite))
        write_file(folder / KEY, home.key.to_pem())
        write_model(folder / CONFIG, config)
        make_folder(home.state)
        if config.exchange == EXCHANGE:
            make_folder(folder / EXCHANGE)
        return home

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a supervisor's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file that is missing, open to others or not
                well formed.
        """
        require_folder_with(folder, CONFIG)
        key = SigningKey.from_pem(read_private(folder / KEY))
        return cls(folder, read_model(folder / CONFIG, HomeConfig), key)

    @property
    def state(self) -> Path:
        """The enclave's own folder."""
        return self.folder / STATE

    @property
    def scratch(self) -> Path:
        """A folder on tmpfs."""
        return Path(self.config.scratch)

    @property
    def exchange(self) -> Exchange:
        """What is shared with the relay."""
        return Exchange(self.folder / self.config.exchange)

    @property
    def broker(self) -> Path | None:
        """Where the enclave listens for its broker; none where it has none.

        Raises:
            SafeRoomError: `BAD_CONFIG` if the folder is not there, or the path too long.
        """
        if self.config.broker is None:
            return None
        folder = (self.folder / self.config.broker).resolve()
        if not folder.is_dir():
            rule = "no such folder: make it, mode 2770 of a group that broker and enclave are in"
            raise bad_file(folder, rule)
        return fitting(folder / BROKER_SOCKET)

    def follow(self, statement: Envelope) -> RootHandover:
        """Go over to the charter root that the pinned one handed over to, durably.

        Raises:
            SafeRoomError: `BAD_SIGNATURE` or `BAD_CHARTER` if the pinned root did not sign that;
                `CONFLICT` for a handover that is past.
        """
        config = self.config
        kept = read_untrusted(self.folder / CHARTER)
        newest = None if kept is None else Envelope.from_json(kept)
        says = follow_root(
            statement,
            room=config.room,
            owner=config.owner,
            root=config.charter_root,
            seen=None if newest is None else (load(newest, Charter).version, newest.digest),
        )
        if newest is not None and newest.digest != says.previous:
            # One before the last counts no more; the relay brings the one in force.
            (self.folder / CHARTER).unlink()
        followed = {"charter_root": says.following, "last_charter": says.previous}
        write_model(self.folder / CONFIG, HomeConfig.model_validate({**dict(config), **followed}))
        return says

    def verified(self, refused: Refused) -> Verified | None:
        """Give the newest order that is whole and the owner's; none before there is one.

        What is newer than the last one is kept, durably: an older one does not count any more,
        whoever hands it in.

        Args:
            refused: is told of what the relay hands in and does not count; what was kept goes on.

        Raises:
            SafeRoomError: `BAD_CHARTER` or `MALFORMED` if the charter that was kept is not the
                owner's.
        """
        charter = self._charter(refused)
        if charter is None:
            return None
        switchboard = self._switchboard(charter.says, refused)
        if switchboard is None:
            return None
        order = Order(charter.statement, switchboard.statement)
        return Verified(order, charter.says, switchboard.says)

    def _charter(self, refused: Refused) -> _Opened[PinnedCharter] | None:
        # Read anew: the owner may have had it follow another root since.
        config = read_model(self.folder / CONFIG, HomeConfig)

        def opened(data: bytes) -> _Opened[PinnedCharter]:
            statement = Envelope.from_json(data)
            pinned = open_followed(statement, config.charter_root, config.last_charter)
            if (pinned.charter.room, pinned.charter.owner) != (config.room, config.owner):
                raise SafeRoomError(Reason.BAD_CHARTER, "the charter is of another room or owner")
            return _Opened(pinned, statement, pinned.charter.version)

        return self._newest(CHARTER, opened, refused)

    def _switchboard(
        self, charter: PinnedCharter, refused: Refused
    ) -> _Opened[PinnedSwitchboard] | None:
        def opened(data: bytes) -> _Opened[PinnedSwitchboard]:
            statement = Envelope.from_json(data)
            pinned = open_switchboard(statement, charter)
            return _Opened(pinned, statement, pinned.time.timestamp())

        return self._newest(SWITCHBOARD, opened, refused)

    def _kept(
        self, name: str, data: bytes, opened: Callable[[bytes], _Opened[T]]
    ) -> _Opened[T] | None:
        """Open what was kept; under new keys of the room, its old word counts no more."""
        try:
            return opened(data)
        except SafeRoomError:
            if name == CHARTER:
                raise
            return None

    def _newest(
        self, name: str, opened: Callable[[bytes], _Opened[T]], refused: Refused
    ) -> _Opened[T] | None:
        """Choose between what was kept and what the relay hands in, and keep what is newer."""
        kept_bytes = read_untrusted(self.folder / name)
        kept = None if kept_bytes is None else self._kept(name, kept_bytes, opened)
        try:
            offered_bytes = self.exchange.offered(name)
            if offered_bytes is None or offered_bytes == kept_bytes:
                return kept
            offered = opened(offered_bytes)
            _require_later(name, kept, offered)
        except SafeRoomError as error:
            refused(error)
            return kept
        write_file(self.folder / name, offered_bytes)
        return offered


@dataclass(frozen=True, slots=True)
class _Opened(Generic[T]):
    """A verified statement, and its place among those of its kind."""

    says: T
    statement: Envelope
    place: float


def _require_later(name: str, kept: _Opened[T] | None, offered: _Opened[T]) -> None:
    if kept is None or offered.statement.digest == kept.statement.digest:
        return
    if offered.place <= kept.place:
        detail = f"{name}: another one than was kept, and no later one"
        raise SafeRoomError(Reason.CONFLICT, detail)
