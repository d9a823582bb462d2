"""An enclave looks whether its memory may be written to a disk, and says so in its evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_enclaves.sandbox.swap import FINDING, swap_findings

HEADING = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
DEVICE = "/dev/vda2                               partition\t2097148\t\t0\t\t-2\n"


def host(root: Path, swaps: str, group: str = "0::/\n", **limits: str) -> Path:
    """Make what the kernel tells of a host; limits by the group's name, `__` for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/swaps").write_text(swaps)
    (root / "proc/self/cgroup").write_text(group)
    for name, limit in limits.items():
        folder = root / "sys/fs/cgroup" / name.replace("__", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.swap.max").write_text(f"{limit}\n")
    return root


def test_without_swap_nothing_is_missing(tmp_path: Path) -> None:
    assert swap_findings(host(tmp_path, HEADING)) == ()


def test_a_swap_device_is_told(tmp_path: Path) -> None:
    assert swap_findings(host(tmp_path, HEADING + DEVICE)) == (FINDING,)


@pytest.mark.parametrize(
    ("limits", "missing"),
    [
        ({"saferoom": "0"}, ()),
        ({"saferoom__tax": "0"}, ()),
        ({"saferoom__tax": "max"}, (FINDING,)),
        ({"saferoom__tax": "4096", "saferoom": "max"}, (FINDING,)),
        ({"another": "0"}, (FINDING,)),
    ],
)
def test_a_unit_that_forbids_it_is_heeded(
    tmp_path: Path, limits: dict[str, str], missing: tuple[str, ...]
) -> None:
    told = host(tmp_path, HEADING + DEVICE, "1:name=systemd:/x\n0::/saferoom/tax\n", **limits)
    assert swap_findings(told) == missing


def test_what_cannot_be_known_is_told(tmp_path: Path) -> None:
    (finding,) = swap_findings(tmp_path)
    assert finding.startswith("swap: not known whether there is any")


def test_this_host_is_looked_at() -> None:
    devices = Path("/proc/swaps").read_text().splitlines()[1:]
    assert swap_findings() in ((), (FINDING,))
    assert devices or swap_findings() == ()
