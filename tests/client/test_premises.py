"""A supervisor's folder and the exchange: what the relay hands in counts only where it is later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from socket import AF_UNIX, socket
from ssl import PEM_cert_to_DER_cert
from typing import Any

import pytest

from saferoom_client.premises.exchange import CHARTER, SWITCHBOARD, DoorFile, Exchange, Order
from saferoom_client.premises.home import Home, HomeConfig
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter, RoomKeys, Switchboard, load, seal_statement
from simulator import World


class Scene:
    """An owner's supervisor, and a relay that hands in whatever it likes."""

    def __init__(self, folder: Path) -> None:
        self.world = World("premises")
        self.tax = self.world.owner("tax")
        config = HomeConfig(
            room=self.world.room, owner="tax", charter_root=self.tax.root.verify_key.public
        )
        self.home = Home.create(folder / "home", config)
        self.refused: list[SafeRoomError] = []

    def switchboard(self, key: SigningKey | None = None, **changes: object) -> Envelope:
        fields: dict[str, object] = {
            "room": self.world.room,
            "certificate": b64(PEM_cert_to_DER_cert(self.world.issuer.certificate)),
            "time": self.world.now(),
        }
        says = Switchboard.model_validate(fields | changes)
        return seal_statement(says, key or self.world.heads)

    def offer(self, charter: Envelope | None = None, switchboard: Envelope | None = None) -> None:
        order = Order(charter or self.tax.charters[-1], switchboard or self.switchboard())
        self.home.exchange.offer(order)

    def version(self) -> int | None:
        """Give the version that the enclave would be started with."""
        self.refused.clear()
        order = self.home.verified(self.refused.append)
        return None if order is None else order.charter.charter.version

    def reasons(self) -> list[Reason]:
        return [each.reason for each in self.refused]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_is_started_before_there_is_an_order(scene: Scene) -> None:
    assert scene.version() is None
    assert scene.refused == []


def test_the_owner_may_put_its_charter_there_itself(scene: Scene) -> None:
    (scene.home.folder / CHARTER).write_bytes(scene.tax.charters[-1].to_json())
    assert scene.version() is None  # the room's certificate is still to come
    (scene.home.exchange.folder / SWITCHBOARD).write_bytes(scene.switchboard().to_json())
    assert scene.version() == 1


def test_a_later_charter_is_taken_and_no_older_one_after_it(scene: Scene) -> None:
    first = scene.tax.charters[-1]
    scene.offer(first)
    assert scene.version() == 1
    scene.tax.adopt(max_head_age_seconds=30)
    scene.offer()
    assert scene.version() == 2
    scene.offer(first)
    assert (scene.version(), scene.reasons()) == (2, [Reason.CONFLICT])
    scene.home = Home.load(scene.home.folder)
    assert (scene.version(), scene.reasons()) == (2, [Reason.CONFLICT])


def test_two_charters_of_one_version_are_one_too_many(scene: Scene) -> None:
    scene.offer()
    assert scene.version() == 1
    other = load(scene.tax.charters[-1], Charter).model_copy(update={"max_head_age_seconds": 3600})
    scene.offer(seal_statement(other, scene.tax.root))
    assert (scene.version(), scene.reasons()) == (1, [Reason.CONFLICT])


def test_a_charter_of_another_root_owner_or_room_is_not_taken(scene: Scene) -> None:
    key = SigningKey.generate()
    own = load(scene.tax.charters[-1], Charter)
    made_up = seal_statement(own.model_copy(update={"root": key.verify_key.public}), key)
    forged = seal_statement(own, key)
    court = scene.world.owner("court").charters[-1]
    elsewhere = seal_statement(own.model_copy(update={"room": "other.example"}), scene.tax.root)
    for wrong in (made_up, forged, court, elsewhere):
        scene.offer(wrong)
        assert (scene.version(), scene.reasons()) == (None, [Reason.BAD_CHARTER])


def test_only_the_room_says_whom_the_enclave_lets_in(scene: Scene) -> None:
    scene.offer(switchboard=scene.switchboard(SigningKey.generate()))
    assert (scene.version(), scene.reasons()) == (None, [Reason.BAD_SIGNATURE])
    wrong: tuple[dict[str, Any], ...] = ({"room": "a.example"}, {"certificate": b64(b"none")})
    for changes in wrong:
        scene.offer(switchboard=scene.switchboard(**changes))
        assert (scene.version(), scene.reasons()) == (None, [Reason.MALFORMED])


def test_a_certificate_that_the_room_replaced_does_not_come_back(scene: Scene) -> None:
    """Its key may be in somebody's hands: that is why a room makes another."""
    old = scene.switchboard()
    scene.offer(switchboard=old)
    assert scene.version() == 1
    scene.world.clock.advance(1)
    new = scene.switchboard()
    scene.offer(switchboard=new)
    assert scene.version() == 1
    scene.offer(switchboard=old)
    assert (scene.version(), scene.reasons()) == (1, [Reason.CONFLICT])
    order = scene.home.verified(scene.refused.append)
    assert order is not None
    assert order.switchboard.digest == new.digest


def test_a_charter_with_new_keys_of_the_room_voids_what_the_old_ones_said(scene: Scene) -> None:
    scene.offer()
    assert scene.version() == 1
    heads = SigningKey.generate()
    before = load(scene.tax.charters[-1], Charter).room_keys
    keys = RoomKeys(ledger=before.ledger, heads=heads.verify_key.public)
    scene.tax.adopt(room_keys=keys)
    scene.offer(switchboard=scene.switchboard(heads))
    assert (scene.version(), scene.reasons()) == (2, [])


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def flood(path: Path) -> None:
    path.write_bytes(b" " * ((1 << 20) + 1))


def rubbish(path: Path) -> None:
    path.write_bytes(b"{}")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [link, pipe, folder, flood, rubbish])
def test_what_else_lies_in_the_exchange_is_neither_followed_nor_waited_for(
    scene: Scene, make: Callable[[Path], None]
) -> None:
    scene.offer()
    assert scene.version() == 1
    for name in (CHARTER, SWITCHBOARD):
        path = scene.home.exchange.folder / name
        path.unlink()
        make(path)
    assert scene.version() == 1
    assert len(scene.refused) == 2
    with pytest.raises(SafeRoomError) as caught:
        make_door(scene.home.exchange, make)
    assert caught.value.reason in {Reason.BAD_CONFIG, Reason.TOO_LARGE}


def make_door(exchange: Exchange, make: Callable[[Path], None]) -> None:
    make(exchange.folder / "door.json")
    exchange.door()


def said(scene: Scene) -> DoorFile:
    return DoorFile(
        certificate=scene.world.issuer.certificate,
        charter=scene.tax.charters[-1].digest,
        switchboard=scene.switchboard().digest,
        sandbox_level=2,
        sandbox_missing=("namespaces",),
        launch=scene.switchboard().to_json().decode(),
    )


def listen(path: Path) -> None:
    with socket(AF_UNIX) as bound:
        bound.bind(str(path))


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_link_in_the_place_of_the_socket_opens_no_file_of_the_supervisors(
    scene: Scene, *, folder_too: bool
) -> None:
    exchange, key = scene.home.exchange, scene.home.folder / "supervisor.key"
    path = exchange.open_socket_folder()
    elsewhere = path.parent.rename(exchange.folder / "moved")
    if folder_too:
        listen(elsewhere / path.name)
        path.parent.symlink_to(elsewhere)
    else:
        path.parent.mkdir()
        path.symlink_to(key)
    before = [one.stat().st_mode for one in (key, elsewhere)]
    with pytest.raises(SafeRoomError) as caught:
        exchange.open_door(said(scene))
    assert caught.value.reason is Reason.BAD_CONFIG
    assert [one.stat().st_mode for one in (key, elsewhere)] == before
    assert exchange.door() is None


def test_what_cannot_be_cleared_away_is_a_refusal_and_ends_no_supervisor(scene: Scene) -> None:
    exchange = scene.home.exchange
    (exchange.folder / "door").symlink_to("nowhere")
    with pytest.raises(SafeRoomError) as caught:
        exchange.open_socket_folder()
    assert caught.value.reason is Reason.BAD_CONFIG


def test_a_door_is_read_as_it_was_written_and_gone_when_it_is_closed(scene: Scene) -> None:
    exchange = scene.home.exchange
    assert exchange.door() is None
    listen(exchange.open_socket_folder())
    door = said(scene)
    exchange.open_door(door)
    assert exchange.door() == door
    assert exchange.socket.stat().st_mode & 0o007 == 0
    assert exchange.socket.parent.stat().st_mode & 0o007 == 0
    assert Order(scene.tax.charters[-1], scene.switchboard()).fits(door)
    exchange.close_door()
    assert exchange.door() is None
    assert not exchange.socket.parent.exists()


def test_a_socket_whose_path_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(SafeRoomError) as caught:
        _ = Exchange(tmp_path / ("d" * 110)).socket
    assert caught.value.reason is Reason.BAD_CONFIG
    assert "at most 107 bytes" in caught.value.fields[0].rule


def test_a_supervisors_folder_is_made_once_and_shows_no_key(scene: Scene) -> None:
    with pytest.raises(SafeRoomError, match="there already"):
        Home.create(scene.home.folder, scene.home.config)
    assert "supervisor.key" not in repr(scene.home)
    assert str(scene.home.key.to_pem()) not in repr(scene.home)
    assert (scene.home.folder / "supervisor.key").stat().st_mode & 0o077 == 0
