from __future__ import annotations

import json
import re
import stat
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from saferoom.__main__ import main
from saferoom.config import RoomConfig, split_address
from saferoom.examine import examine_room
from saferoom.room import Room, add_issuer, init_room
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import START, World

ORIGIN = "room.example/credit"


def refused(folder: Path, origin: str = ORIGIN, address: str = "localhost:7443") -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        init_room(folder, origin, address)
    assert refusal.value.reason is Reason.BAD_CONFIG
    return refusal.value


def test_a_new_room_opens_and_its_card_names_its_keys(tmp_path: Path) -> None:
    card = init_room(tmp_path / "room", ORIGIN, "room.example:7443")
    room = Room.open(tmp_path / "room")
    written = json.loads((tmp_path / "room" / "room-card.json").read_bytes())
    assert written == {
        "origin": ORIGIN,
        "address": "room.example:7443",
        "tls_root": card.tls_root,
        "ledger_key": room.ledger_key.verify_key.public,
        "heads_key": room.heads_key.verify_key.public,
    }
    assert card == room.card()
    assert VerifyKey.from_public(card.ledger_key) != VerifyKey.from_public(card.heads_key)


def test_the_servers_certificate_is_for_its_hosts_under_the_rooms_authority(
    tmp_path: Path,
) -> None:
    init_room(tmp_path / "room", ORIGIN, "room.example:7443")
    room = Room.open(tmp_path / "room")
    room.server.certificate.verify_directly_issued_by(room.authority)
    names = room.server.certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value
    assert names.get_values_for_type(x509.DNSName) == ["room.example", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    basic = room.server.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.value.ca is False


def test_nobody_else_reads_a_rooms_folder(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    for path in (tmp_path / "room", *(tmp_path / "room").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_text_form_of_an_opened_room_shows_a_key(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    shown = repr(Room.open(tmp_path / "room"))
    for key in ("keys/ledger.pem", "keys/heads.pem", "tls/server.key"):
        body = (tmp_path / "room" / key).read_text().splitlines()[1]
        assert body not in shown
    assert "PRIVATE" not in shown


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://room.example", "localhost:7443"),
        ("Room Example", "localhost:7443"),
        (ORIGIN, "localhost"),
        (ORIGIN, "localhost:99999"),
        (ORIGIN, ":7443"),
        (ORIGIN, 'x"\n[log]:1'),
    ],
)
def test_a_name_or_address_that_is_none_makes_no_folder(
    tmp_path: Path, origin: str, address: str
) -> None:
    refused(tmp_path / "room", origin, address)
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize(
    ("address", "split"),
    [
        ("localhost:0", ("localhost", 0)),
        ("[::1]:7443", ("::1", 7443)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
    ],
)
def test_an_address_is_host_and_port(address: str, split: tuple[str, int]) -> None:
    assert split_address(address) == split


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("colour = 1", "colour"),
        ("[listen]\ncolour = 1", "listen.colour"),
        ("[limits]\ncalls_per_callers = 3", "limits.calls_per_callers"),
        ("[limits]\ncalls = 0", "limits.calls"),
        ("[limits]\ncalls = 10\ncalls_per_caller = 11", "limits.calls_per_caller"),
        ("[heads]\ninterval_seconds = nan", "heads.interval_seconds"),
        ("[log]\nlevel = 'loud'", "log.level"),
        ("operator = 'Not A Name'", "operator"),
    ],
)
def test_a_key_that_is_unknown_or_wrong_is_named(tmp_path: Path, line: str, named: str) -> None:
    listen = "" if "[listen]" in line else '[listen]\naddress = "localhost:1"\n'
    top, _, section = line.partition("\n") if line.startswith("[") else (line, "", "")
    head = f'origin = "{ORIGIN}"\n' + ("" if line.startswith("[") else top + "\n")
    body = f"{top}\n{section}\n" if line.startswith("[") else ""
    if line.startswith("[listen]"):
        body = f'[listen]\naddress = "localhost:1"\n{section}\n'
    (tmp_path / "room.toml").write_text(head + listen + body)
    with pytest.raises(SafeRoomError) as refusal:
        RoomConfig.load(tmp_path)
    assert refusal.value.reason is Reason.BAD_CONFIG
    assert [fault.field for fault in refusal.value.fields] == [named]


@pytest.mark.parametrize("text", ["origin = ", "origin = 1\norigin = 2", "\xff"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "room.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SafeRoomError) as refusal:
        RoomConfig.load(tmp_path)
    assert refusal.value.reason is Reason.BAD_CONFIG


@pytest.mark.parametrize("missing", ["room.toml", "keys/ledger.pem", "tls/server.pem"])
def test_a_folder_that_lacks_a_file_is_named(tmp_path: Path, missing: str) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    (tmp_path / "room" / missing).unlink()
    with pytest.raises(SafeRoomError) as refusal:
        Room.open(tmp_path / "room")
    assert refusal.value.reason is Reason.BAD_CONFIG
    assert Path(missing).name in refusal.value.detail


def test_a_server_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        init_room(tmp_path / name, ORIGIN, "localhost:7443")
    other = (tmp_path / "two" / "tls" / "server.key").read_bytes()
    (tmp_path / "one" / "tls" / "server.key").write_bytes(other)
    with pytest.raises(SafeRoomError) as refusal:
        Room.open(tmp_path / "one")
    assert refusal.value.reason is Reason.BAD_CONFIG


def test_only_an_issuers_certificate_is_admitted_and_each_name_once(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    issuer = World("issuer").issuer.certificate.encode()
    server = (tmp_path / "room" / "tls" / "server.pem").read_bytes()
    add_issuer(tmp_path / "room", "registry", issuer)
    for name, certificate in (("leaf", server), ("none", b"nothing"), ("registry", issuer)):
        with pytest.raises(SafeRoomError) as refusal:
            add_issuer(tmp_path / "room", name, certificate, tmp_path / "given.pem")
        assert refusal.value.reason is Reason.BAD_CONFIG
        named = "registry.pem is there already" if name == "registry" else "given.pem: "
        assert named in refusal.value.detail
    assert Room.open(tmp_path / "room").issuers == (issuer.decode(),)


def test_what_stands_around_an_issuers_certificate_is_passed_over(tmp_path: Path) -> None:
    """A room that runs reads it too: what it could not read would end its looking at the folder."""
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    issuer, other = (World(name).issuer.certificate.encode() for name in ("issuer", "other"))
    around = "Gewährt\n".encode("latin-1") + issuer + other
    add_issuer(tmp_path / "room", "registry", around)
    assert Room.open(tmp_path / "room").issuers == (issuer.decode(),)


def test_a_room_without_an_issuer_does_not_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:0")
    assert main([str(tmp_path / "room")]) == 1
    assert "issuers" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["one", "two"]])
def test_the_program_says_how_it_is_called(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_the_file_that_init_writes_documents_every_key_with_its_default(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    text = (tmp_path / "room" / "room.toml").read_text()
    written = RoomConfig.load(tmp_path / "room")
    bare = RoomConfig.model_validate({"origin": ORIGIN, "listen": {"address": "localhost:7443"}})
    assert written == bare
    unset = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    document = tomllib.loads(unset)
    for name, field in RoomConfig.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        documented = document[name]
        assert documented is not None if inner is None else set(documented) == set(inner), name


def test_a_room_is_examined_without_being_started(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    with pytest.raises(SafeRoomError, match="no identity issuer"):
        examine_room(tmp_path / "room", START)
    add_issuer(tmp_path / "room", "registry", World("examined").issuer.certificate.encode())
    path = tmp_path / "room" / "room.toml"
    path.write_text(path.read_text().replace("calls = 1024", "calls = 2000"))
    found = examine_room(tmp_path / "room", datetime.now(UTC))
    settings = {one.key: one for one in found.settings}
    assert (settings["limits.calls"].value, settings["limits.calls"].is_default) == (2000, False)
    assert settings["listen.bind"].is_default
    assert not (tmp_path / "room" / "state.db").exists()
    late = datetime.now(UTC) + timedelta(days=9000)
    assert any("has ended" in each for each in examine_room(tmp_path / "room", late).warnings)


def test_a_card_or_a_key_that_is_not_as_it_should_be_is_named(tmp_path: Path) -> None:
    init_room(tmp_path / "room", ORIGIN, "localhost:7443")
    add_issuer(tmp_path / "room", "registry", World("examined").issuer.certificate.encode())
    path = tmp_path / "room" / "room.toml"
    good = path.read_text()
    path.write_text(good.replace("localhost:7443", "localhost:7444"))
    with pytest.raises(SafeRoomError, match=r"room-card\.json"):
        examine_room(tmp_path / "room", START)
    path.write_text(good)
    (tmp_path / "room" / "keys" / "ledger.pem").chmod(0o640)
    with pytest.raises(SafeRoomError, match=r"chmod 600 .*ledger\.pem"):
        examine_room(tmp_path / "room", START)
    (tmp_path / "room" / "keys" / "ledger.pem").chmod(0o600)
    scratch = f'scratch = "{tmp_path / "none"}"'
    path.write_text(good.replace('scratch = "/dev/shm"', scratch))
    warnings = examine_room(tmp_path / "room", datetime.now(UTC)).warnings
    assert any(each.startswith("enclaves.scratch") for each in warnings)


def test_a_bad_origin_and_a_bad_address_are_named_as_they_were_given(tmp_path: Path) -> None:
    assert [each.field for each in refused(tmp_path / "a", origin="Bad Origin").fields] == [
        "origin"
    ]
    assert [each.field for each in refused(tmp_path / "b", address="x").fields] == ["address"]
