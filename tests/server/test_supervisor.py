from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from saferoom.config import EnclavesConfig
from saferoom.place import LaunchOrder
from saferoom.supervisor import Supervisor
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.starting import COMMAND
from saferoom_proto.statements import Switchboard, seal_statement
from simulator import World

HELLO = """
import json, sys, time
config = json.loads(sys.stdin.read())
certificate = open({certificate!r}).read()
hello = dict(certificate=certificate, sandbox_level=2, sandbox_missing=["namespaces"])
hello |= dict(identity={key!r}, sealing="AAAA")
print(json.dumps(hello), flush=True)
open({seen!r}, "w").write(json.dumps(config))
time.sleep(60)
"""


def hello(certificate: Path, seen: Path) -> str:
    key = SigningKey.generate().verify_key.public
    return HELLO.format(certificate=str(certificate), seen=str(seen), key=key)


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def hello_of(**fields: object) -> str:
    said: dict[str, object] = {
        "certificate": World("supervisor").issuer.certificate,
        "identity": SigningKey.generate().verify_key.public,
        "sealing": "",
        "sandbox_level": 0,
        "sandbox_missing": [],
    }
    return f"print({json.dumps(said | fields)!r})"


@pytest.fixture
def order(tmp_path: Path) -> LaunchOrder:
    world = World("supervisor")
    says = Switchboard(room=world.room, certificate="AAAA", time=world.now())
    statement = seal_statement(says, world.heads)
    folder = tmp_path / "enclaves" / "tax"
    return LaunchOrder("tax", folder, world.owner("tax").charters[0], statement)


@pytest.fixture
def config(tmp_path: Path) -> EnclavesConfig:
    scratch = tmp_path / "memory"
    scratch.mkdir()
    return EnclavesConfig(scratch=scratch, start_seconds=20)


def issuer_file(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(World("supervisor").issuer.certificate)
    return path


async def refusal(supervisor: Supervisor, order: LaunchOrder) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as caught:
        async with supervisor.launched(order):
            raise AssertionError
    return caught.value


def test_the_enclave_is_started_by_name_isolated() -> None:
    assert COMMAND[1:] == ("-I", "-B", "-m", "saferoom_enclaves")


async def test_an_enclave_is_told_what_it_needs_and_ended_on_leaving(
    tmp_path: Path, order: LaunchOrder, config: EnclavesConfig
) -> None:
    seen = tmp_path / "seen.json"
    text = hello(issuer_file(tmp_path), seen)
    supervisor = Supervisor(tmp_path / "run", config, program(text))
    async with supervisor.launched(order) as running:
        assert (running.sandbox_level, running.sandbox_missing) == (2, ("namespaces",))
        assert running.started.process.returncode is None
        async with asyncio.timeout(20):
            while not seen.exists() or not seen.read_text():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        told = seen.read_text()
        assert json.loads(told)["charter"] == order.charter.to_json().decode()
        assert json.loads(told)["switchboard"] == order.switchboard.to_json().decode()
        assert json.loads(told)["die_with_parent"] is True
        assert running.door.socket.parent.stat().st_mode & 0o077 == 0
    assert running.started.process.returncode is not None
    assert not running.door.socket.parent.exists()
    assert order.folder.stat().st_mode & 0o077 == 0


async def test_an_enclave_sees_nothing_of_the_servers_environment(
    tmp_path: Path, order: LaunchOrder, config: EnclavesConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFEROOM_SECRET", "secret")
    seen = tmp_path / "seen"
    text = f"import os, sys; sys.stdin.read(); open({str(seen)!r}, 'w').write(repr(os.environ))"
    await refusal(Supervisor(tmp_path / "run", config, program(text)), order)
    assert "SECRET" not in seen.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(3)",
        "import sys; sys.stdin.read()",
        "print('hello')",
        "print('{}')",
        hello_of(certificate="none"),
        hello_of(sandbox_level=9),
        hello_of(identity="none"),
        "print('x' * 200_000)",
    ],
)
async def test_a_process_that_does_not_come_to_listen_is_unavailable_and_gone(
    tmp_path: Path, order: LaunchOrder, config: EnclavesConfig, text: str
) -> None:
    error = await refusal(Supervisor(tmp_path / "run", config, program(text)), order)
    assert error.reason in {Reason.UNAVAILABLE, Reason.MALFORMED}
    assert list((tmp_path / "run").iterdir()) == []


async def test_a_process_that_says_nothing_is_given_up(tmp_path: Path, order: LaunchOrder) -> None:
    scratch = tmp_path / "memory"
    scratch.mkdir()
    config = EnclavesConfig(scratch=scratch, start_seconds=0.2)
    text = "import sys, time; sys.stdin.read(); time.sleep(60)"
    error = await refusal(Supervisor(tmp_path / "run", config, program(text)), order)
    assert error.reason is Reason.UNAVAILABLE


async def test_a_deep_folder_gets_a_socket_elsewhere(
    tmp_path: Path, order: LaunchOrder, config: EnclavesConfig
) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    text = hello(issuer_file(tmp_path), tmp_path / "seen.json")
    supervisor = Supervisor(deep / "run", config, program(text))
    async with supervisor.launched(order) as running:
        assert len(bytes(running.door.socket)) <= 107
        assert running.door.socket.parent.stat().st_mode & 0o077 == 0
    assert not running.door.socket.parent.exists()
