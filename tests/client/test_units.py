"""The systemd units: filled in, taken by systemd, and with little left open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from saferoom.room import init_room
from saferoom_client.cli import app
from saferoom_client.units import write_unit
from saferoom_proto.reasons import Reason, SafeRoomError

ANALYZE: Final = shutil.which("systemd-analyze")
MOST_EXPOSED: Final = {"room": 22, "key-agent": 15, "enclave": 22, "relay": 15, "witness": 15}
"""Of 100, as systemd-analyze counts; a service without restrictions has 96. The room starts
enclaves, which need namespaces and the system calls that close a sandbox."""

systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")


@pytest.fixture
def units(tmp_path: Path) -> dict[str, Path]:
    """Write both units as their commands do."""
    init_room(tmp_path / "room", "room.example/units", "localhost:7443")
    ran = CliRunner().invoke(
        app,
        [
            "room",
            "units",
            str(tmp_path / "room"),
            "--out",
            str(tmp_path / "units"),
            "--user",
            "daemon",
            "--json",
        ],
    )
    assert ran.exit_code == 0, ran.output
    room = Path(json.loads(ran.stdout)["written"][0])
    agent, _ = write_unit(
        tmp_path / "units", "key-agent", tmp_path, "daemon", {"owner": "tax"}, suffix="-tax"
    )
    witness, _ = write_unit(
        tmp_path / "units", "witness", tmp_path, "daemon", {"origin": "room.example/units"}
    )
    # Root, so that systemd finds the user: a host has the two that the commands name.
    for drop_in in (tmp_path / "units").glob("*.d/*.conf"):
        drop_in.write_text(
            re.sub(r"^User=.*$", "User=daemon", drop_in.read_text(), flags=re.MULTILINE)
        )
    enclave, relay = at_the_owner(tmp_path)
    return {
        "room": room,
        "key-agent": agent,
        "enclave": enclave,
        "relay": relay,
        "witness": witness,
    }


def at_the_owner(tmp_path: Path) -> tuple[Path, Path]:
    """Write the units of an owner that runs its enclave itself."""
    owner = {"owner": "tax"}
    enclave, _ = write_unit(
        tmp_path / "units",
        "enclave",
        tmp_path / "home",
        "daemon",
        {**owner, "memory_mib": "6144", "exchange": str(tmp_path / "exchange")},
        suffix="-tax",
    )
    relay, _ = write_unit(
        tmp_path / "units",
        "relay",
        tmp_path / "exchange",
        "daemon",
        {**owner, "profile": str(tmp_path / "profile")},
        suffix="-tax",
    )
    return enclave, relay


def test_an_enclave_has_no_network_and_leaves_nothing_on_a_disk(units: dict[str, Path]) -> None:
    drop_in = units["enclave"].with_name(f"{units['enclave'].name}.d") / "50-common.conf"
    said = (units["enclave"].read_text() + drop_in.read_text()).splitlines()
    for setting in (
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "MemoryMax=6144M",
        "MemorySwapMax=0",
        "LimitCORE=0",
        "User=daemon",
    ):
        assert setting in said
    assert "PrivateNetwork=yes" not in units["relay"].read_text()


def test_a_unit_is_filled_in_and_holds_the_room_s_port(units: dict[str, Path]) -> None:
    for path in units.values():
        drop_in = path.with_name(f"{path.name}.d") / "50-common.conf"
        assert "@{" not in path.read_text() + drop_in.read_text()
    assert "SocketBindAllow=tcp:7443" in units["room"].read_text()
    for name in ("key-agent", "enclave", "relay", "witness"):
        assert "SocketBindAllow" not in units[name].read_text()


@systemd
def test_systemd_takes_every_line_of_the_units(units: dict[str, Path]) -> None:
    for path in units.values():
        ran = subprocess.run(
            [str(ANALYZE), "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        # What a host's own units say of themselves is not ours to mend.
        said = [line for line in ran.stderr.splitlines() if "saferoom" in line]
        assert said == [], ran.stderr


@systemd
@pytest.mark.parametrize("name", list(MOST_EXPOSED))
def test_little_is_left_open(units: dict[str, Path], name: str) -> None:
    ran = subprocess.run(
        [str(ANALYZE), "security", "--offline=yes", "--no-pager", str(units[name])],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for .*: ([0-9.]+)", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr
    assert float(found[1]) * 10 <= MOST_EXPOSED[name], ran.stdout


def test_a_unit_is_never_written_over(units: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SafeRoomError, match="there already") as refused:
        write_unit(
            tmp_path / "units", "key-agent", tmp_path, "agent", {"owner": "x"}, suffix="-tax"
        )
    assert refused.value.reason is Reason.BAD_CONFIG
    assert units["key-agent"].exists()


@pytest.mark.parametrize(
    ("folder", "user"),
    [
        ("/srv/a room", "agent"),
        ("/srv/%h", "agent"),
        ("/srv/$HOME", "agent"),
        ("/srv/x\nExecStartPre=/bin/evil", "agent"),
        ("/srv/room", "root\nExecStartPre=/bin/evil"),
        ("/srv/room", "0"),
    ],
)
def test_what_systemd_would_read_otherwise_is_refused(
    tmp_path: Path, folder: str, user: str
) -> None:
    with pytest.raises(SafeRoomError) as refused:
        write_unit(tmp_path / "units", "key-agent", Path(folder), user, {"owner": "tax"})
    assert refused.value.reason is Reason.BAD_CONFIG
    assert refused.value.fields
    assert not (tmp_path / "units").exists()
