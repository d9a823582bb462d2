"""What the sandbox reports of hosts that refuse a part of it, and what it refuses by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from saferoom_enclaves.sandbox import Part, SandboxPlan, SandboxReport, interpreter_paths
from saferoom_enclaves.sandbox.landlock import landlock_abi
from saferoom_proto.reasons import Reason, SafeRoomError


def has_landlock(abi: int = 1) -> bool:
    try:
        return landlock_abi() >= abi
    except OSError:
        return False


# A container's own filter: named calls fail with EPERM, all others pass.
CONTAINER: Final = """
import json, sys
from pathlib import Path
from saferoom_enclaves import sandbox
from saferoom_enclaves.sandbox import kernel, landlock, limits, numbers, seccomp
from saferoom_enclaves.sandbox.seccomp import ALLOW, JUMP_IF_EQUAL, LOAD, REFUSE, RETURN
from saferoom_enclaves.sandbox.seccomp import Instruction

forbidden, settings = json.loads(sys.argv[1]), json.loads(sys.argv[2])
program = [Instruction(LOAD, 0)]
for name in forbidden:
    number = numbers.MACHINES[kernel.MACHINE][name]
    program += [Instruction(JUMP_IF_EQUAL, number, if_false=1), Instruction(RETURN, REFUSE)]
program.append(Instruction(RETURN, ALLOW))
limits.forbid_new_privileges()
seccomp.install(program)
if "abi" in settings:
    landlock.landlock_abi = lambda: settings["abi"]
plan = sandbox.SandboxPlan(sandbox.interpreter_paths("saferoom_enclaves", "saferoom_proto"))
report = sandbox.close_system_calls(sandbox.confine(plan))
try:
    Path("/etc/passwd").read_bytes()
    reads = True
except PermissionError:
    reads = False
print(json.dumps([report.level, report.holds, report.missing, reads]))
"""


def on_a_host(*forbidden: str, **settings: int) -> tuple[int, set[str], list[str], bool]:
    """Confine a process on a host that forbids some calls or has an older Landlock."""
    command = [sys.executable, "-I", "-B", "-c", CONTAINER]
    command += [json.dumps(forbidden), json.dumps(settings)]
    found = subprocess.run(command, check=True, capture_output=True, timeout=60)
    level, holds, missing, reads = json.loads(found.stdout)
    return level, set(holds), missing, reads


needs_landlock = pytest.mark.skipif(not has_landlock(), reason="the kernel has no Landlock")


@needs_landlock
def test_without_user_namespaces_it_is_level_2() -> None:
    level, holds, missing, reads = on_a_host("unshare")
    assert (level, reads) == (2, False)
    assert {"landlock-files", "system-calls"} <= holds
    assert "namespaces: [Errno 1] unshare: Operation not permitted" in missing


def test_without_landlock_either_it_is_level_1() -> None:
    level, holds, missing, reads = on_a_host("unshare", "landlock_create_ruleset")
    assert (level, reads) == (1, True)
    assert {"resource-limits", "system-calls"} <= holds
    assert [line.partition(":")[0] for line in missing if "landlock" in line] == ["landlock-files"]


def test_namespaces_alone_do_not_make_up_for_landlock() -> None:
    level, _, missing, _ = on_a_host("landlock_create_ruleset")
    assert level == 1
    assert "landlock-files: [Errno 1] landlock_create_ruleset: Operation not permitted" in missing


@needs_landlock
def test_without_a_system_call_filter_it_is_level_0() -> None:
    level, holds, missing, _ = on_a_host("seccomp")
    assert level == 0
    assert "landlock-files" in holds
    assert missing[-1].startswith("system-calls: [Errno 1]")


@pytest.mark.parametrize(
    ("abi", "level", "lacking"),
    [
        (1, 2, {"landlock-truncate", "landlock-tcp", "landlock-devices", "landlock-scopes"}),
        (3, 2, {"landlock-tcp", "landlock-devices", "landlock-scopes"}),
        (4, 3, {"landlock-devices", "landlock-scopes"}),
        (5, 3, {"landlock-scopes"}),
        (6, 3, set[str]()),
    ],
)
def test_an_older_landlock_gives_what_it_has(abi: int, level: int, lacking: set[str]) -> None:
    if not has_landlock(abi):
        pytest.skip(f"the kernel's Landlock is older than ABI {abi}")
    found, holds, missing, reads = on_a_host(abi=abi)
    if "namespaces" not in holds:
        pytest.skip("the host refuses user namespaces")
    assert (found, reads) == (level, False)
    assert {line.partition(":")[0] for line in missing} == lacking
    assert not lacking & holds


def test_a_level_below_the_charters_is_refused_by_name() -> None:
    report = SandboxReport.of([Part.RESOURCE_LIMITS], ["namespaces: forbidden here"])
    report.require(0)
    with pytest.raises(SafeRoomError) as caught:
        report.require(2)
    assert caught.value.reason is Reason.SANDBOX_TOO_WEAK
    assert "level 0 of 2; missing: namespaces: forbidden here" in caught.value.detail


def test_every_part_but_the_optional_is_needed_for_level_3() -> None:
    optional = {
        Part.DIES_WITH_PARENT,
        Part.EMPTY_BOUNDING_SET,
        Part.LANDLOCK_DEVICES,
        Part.LANDLOCK_SCOPES,
        Part.LANDLOCK_TRUNCATE,
    }
    needed = set(Part) - optional
    assert SandboxReport.of(needed, ()).level == 3
    assert {part for part in needed if SandboxReport.of(needed - {part}, ()).level == 3} == set()


@pytest.mark.parametrize(
    "faulty",
    [
        {"read_only": (Path("relative"),)},
        {"read_only": (Path("/"),)},
        {"read_only": (), "read_write": (Path("/nowhere/at/all"),)},
        {"read_only": (), "socket_folders": (Path("/nowhere/at/all"),)},
        {"read_only": (), "address_space_bytes": 0},
        {"read_only": (), "open_files": -1},
    ],
)
def test_a_plan_that_gives_everything_or_makes_no_sense_is_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(SafeRoomError) as caught:
        SandboxPlan(**faulty)
    assert caught.value.reason is Reason.BAD_CONFIG


def test_a_package_that_is_not_installed_cannot_be_planned_for() -> None:
    with pytest.raises(SafeRoomError, match="nowhere_at_all is not installed"):
        interpreter_paths("nowhere_at_all")


def test_the_source_tree_itself_is_not_opened() -> None:
    root = Path(__file__).resolve().parents[2]
    opened = interpreter_paths("saferoom_enclaves", "saferoom_proto")
    assert root not in [path.resolve() for path in opened]
    assert Path("/proc/self") in opened  # by that name: it is the confined process's own


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-B", "-c", code]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_process_with_a_second_thread_is_not_confined() -> None:
    found = run_code("""
import threading
from saferoom_enclaves.sandbox import SandboxPlan, confine
threading.Thread(target=threading.Event().wait, daemon=True).start()
confine(SandboxPlan(()))
""")
    assert "BAD_CONFIG: the process has 2 threads" in found.stderr


def test_the_sandbox_itself_imports_nothing_heavy() -> None:
    found = run_code("""
import sys
import saferoom_enclaves.sandbox
heavy = {"duckdb", "numpy", "grpc", "cryptography", "pydantic", "asyncio", "ssl"}
print(sorted(heavy & set(sys.modules)))
""")
    assert found.stdout.strip() == "[]", found.stderr


def test_limits_hold_and_a_lower_one_stays() -> None:
    found = run_code("""
import resource
from saferoom_enclaves.sandbox.limits import limit_resources
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
limit_resources(1 << 30, 256, 50)
for name in ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_CPU"):
    print(*resource.getrlimit(getattr(resource, name)))
""")
    one_gib = f"{1 << 30} {1 << 30}"
    assert found.stdout.splitlines() == [one_gib, "100 100", "0 0", "50 50"], found.stderr


def test_a_confined_process_dies_with_its_parent() -> None:
    reading, writing = os.pipe()
    code = f"""
import os, time
if os.fork() == 0:
    from saferoom_enclaves.sandbox import SandboxPlan, confine
    confine(SandboxPlan((), die_with_parent=True))
    os.write({writing}, b"%d" % os.getpid())
    time.sleep(60)
os.wait()
"""
    command = [sys.executable, "-I", "-B", "-c", code]
    with subprocess.Popen(command, pass_fds=(writing,)) as parent:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert int(os.read(pipe.fileno(), 20)) > 0
            parent.send_signal(signal.SIGKILL)
            assert pipe.read() == b""  # the child held the last writing end: it is gone
