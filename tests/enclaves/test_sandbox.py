"""The sandbox, from inside: a confined process works and serves, and cannot get out."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from unittest.mock import ANY

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from saferoom_enclaves.sandbox import Part
from saferoom_enclaves.sandbox.landlock import landlock_abi
from saferoom_enclaves.sandbox.numbers import MACHINES

PROGRAM: Final = Path(__file__).with_name("confined.py")
MACHINE: Final = os.uname().machine
NOBODY: Final = 20001  # a uid that no account of the host has
# (x86_64, aarch64), linux uapi headers.
FORBIDDEN_CALLS: Final = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "userfaultfd": (323, 282),
    "unshare": (272, 97),
    "setns": (308, 268),
    "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "execveat": (322, 281),
    "seccomp": (317, 277),
    "kexec_load": (246, 104),
    "personality": (135, 92),
    "name_to_handle_at": (303, 264),
    "reboot": (169, 142),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "request_key": (249, 218),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_secret": (447, 447),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_send_signal": (424, 424),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "capset": (126, 91),
    "setuid": (105, 146),
    "fanotify_init": (300, 262),
    "inotify_init1": (294, 26),
    "vmsplice": (278, 75),
    "landlock_restrict_self": (446, 446),
}
REFUSALS: Final = {"EPERM", "EACCES"}
ALWAYS: Final = {
    "resource-limits",
    "not-dumpable",
    "no-new-privileges",
    "no-capabilities",
    "dies-with-parent",
    "system-calls",
}
FILES: Final = {
    "read /etc/passwd",
    "list /",
    "list the processes",
    "read another folder",
    "list scratch",
    "list another folder",
    "write another folder",
    "remove another's file",
    "write the interpreter",
    "open the kernel's settings",
    "bind outside",
    *(f"read another process's {name}" for name in ("environ", "mem", "maps", "root", "cwd", "fd")),
}
"""What only Landlock closes."""


@dataclass
class Confined:
    """What a confined process reported, and how it served."""

    reports: list[list[Any]]
    escapes: dict[str, str]
    work: dict[str, Any]
    serving: dict[str, str]
    answer: bytes
    strangers: list[grpc.StatusCode]
    stopped: dict[str, bool]
    returncode: int
    messages: str


def identity(name: str) -> tuple[str, str]:
    """Make a key and a self-signed certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def call(path: Path, root: str, key: str | None, certificate: str | None) -> bytes:
    credentials = grpc.ssl_channel_credentials(
        root.encode(),
        None if key is None else key.encode(),
        None if certificate is None else certificate.encode(),
    )
    options = [("grpc.ssl_target_name_override", "enclave")]
    with grpc.secure_channel(f"unix:{path}", credentials, options) as channel:
        say = cast("Callable[..., bytes]", channel.unary_unary("/test.Echo/Say"))
        return say(b"abc", timeout=10)


def refused(path: Path, root: str, key: str | None, certificate: str | None) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(path, root, key, certificate)
    status: grpc.StatusCode = caught.value.code()  # type: ignore[attr-defined]
    return status


def interpreter_for(uid: int) -> str | None:
    """Find an interpreter that the user can start: the tests' own may lie in a closed folder."""
    own = os.path.realpath(sys.executable)
    if uid == os.getuid() or all(parent.stat().st_mode & 0o001 for parent in Path(own).parents):
        return sys.executable
    return shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")


def sys_path(interpreter: str) -> list[str]:
    """Give that interpreter's own library, then the packages these tests run with."""
    if interpreter == sys.executable:
        return [path for path in sys.path if path]
    listing = [interpreter, "-I", "-S", "-c", "import json, sys; print(json.dumps(sys.path))"]
    own = json.loads(subprocess.run(listing, check=True, capture_output=True).stdout)
    return own + [path for path in sys.path if path and not path.startswith(sys.base_prefix)]


@contextmanager
def folders(uid: int) -> Generator[dict[str, str]]:
    """Make the folders of one process, its scratch on tmpfs, and remove them again."""
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr")))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        base.chmod(0o755)
        named = {name: base / name for name in ("state", "sockets", "outside")}
        for folder in named.values():
            folder.mkdir()
        named["scratch"] = scratch
        for folder in (named["state"], named["sockets"], scratch):
            os.chown(folder, uid, uid)
        named["outside"].chmod(0o777)
        (named["outside"] / "secret").write_text("canary")
        yield {name: str(folder) for name, folder in named.items()}


def listeners(stack: ExitStack, outside: Path, uid: int) -> dict[str, str]:
    """Listen where a confined process must not reach, and give the addresses."""
    addresses = {
        "listener": str(outside / "listener"),
        "datagrams": str(outside / "datagrams"),
        "abstract": f"\0saferoom-test-{os.getpid()}-{uid}",
    }
    for name, address in addresses.items():
        kind = socket.SOCK_DGRAM if name == "datagrams" else socket.SOCK_STREAM
        own = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
        own.bind(address)
        if name != "abstract":
            Path(address).chmod(0o777)
        if name != "datagrams":
            own.listen()
    return addresses


def start(
    stack: ExitStack, interpreter: str, uid: int, task: dict[str, Any]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the confined process as a user, and give our end of its inherited socket."""
    ours, theirs = socket.socketpair()
    other = uid != os.getuid()
    command = [interpreter, "-I", "-B", str(PROGRAM), str(theirs.fileno()), json.dumps(task)]
    process = subprocess.Popen(
        command,
        pass_fds=(theirs.fileno(),),
        env={"OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "GRPC_VERBOSITY": "NONE"},
        stderr=subprocess.PIPE,
        user=uid if other else None,
        group=uid if other else None,
        extra_groups=[] if other else None,
    )
    theirs.close()
    return stack.enter_context(process), stack.enter_context(ours)


def run(uid: int) -> Confined:
    interpreter = interpreter_for(uid)
    if interpreter is None:
        pytest.skip(f"uid {uid} can start no interpreter of this version")
    key, certificate = identity("enclave")
    client_key, client = identity("server")
    column = 0 if MACHINE == "x86_64" else 1
    with ExitStack() as stack:
        own = stack.enter_context(folders(uid))
        task: dict[str, Any] = {
            **own,
            **listeners(stack, Path(own["outside"]), uid),
            "sys_path": sys_path(interpreter),
            "calls": MACHINES[MACHINE],
            "forbidden_calls": {name: both[column] for name, both in FORBIDDEN_CALLS.items()},
            "key": key,
            "certificate": certificate,
            "client": client,
        }
        process, channel = start(stack, interpreter, uid, task)
        lines = stack.enter_context(channel.makefile("rb"))
        try:
            reports, escapes, work, serving = (json.loads(lines.readline()) for _ in range(4))
        except ValueError:
            channel.shutdown(socket.SHUT_RDWR)
            pytest.fail(process.communicate()[1].decode())
        path = Path(task["sockets"], "enclave")
        answer = call(path, certificate, client_key, client)
        strangers = [
            refused(path, certificate, *identity("server")),
            refused(path, certificate, None, None),
            refused(path, identity("enclave")[1], client_key, client),
        ]
        channel.sendall(b".")
        stopped = json.loads(lines.readline())
        messages = process.communicate()[1].decode()
    return Confined(
        reports, escapes, work, serving, answer, strangers, stopped, process.returncode, messages
    )


@pytest.fixture(scope="module", params=[os.getuid(), NOBODY], ids=["own uid", "ordinary uid"])
def confined(request: pytest.FixtureRequest) -> Confined:
    uid: int = request.param
    if uid != os.getuid() and os.getuid() != 0:
        pytest.skip("only root can start a process as another user")
    return run(uid)


def offered() -> int:
    """Tell the sandbox level that this host's kernel offers."""
    unshare = "from saferoom_enclaves.sandbox import namespaces; namespaces.leave_host_namespaces()"
    apart = subprocess.run([sys.executable, "-c", unshare], check=False, capture_output=True)
    try:
        abi = landlock_abi()
    except OSError:
        return 1
    return 3 if abi >= 4 and apart.returncode == 0 else 2


def test_the_report_names_every_part_and_reaches_what_the_host_offers(confined: Confined) -> None:
    (level_before, _, missing_before), (level, holds, missing) = confined.reports
    assert (level_before, missing_before[-1]) == (0, "system-calls: not closed yet")
    assert level == offered(), missing
    assert set(holds) >= ALWAYS
    assert {*holds, *(line.partition(":")[0] for line in missing)} == set(Part)


def test_every_way_out_is_closed(confined: Confined) -> None:
    beyond: set[str] = set() if "landlock-files" in confined.reports[1][1] else FILES
    open_ways = {way: end for way, end in confined.escapes.items() if end not in REFUSALS}
    open_ways = {way: end for way, end in open_ways.items() if way not in beyond}
    assert open_ways == {"clone3": "ENOSYS"}  # on which the C library calls what can be checked
    assert len(confined.escapes) > 400


def test_an_enclaves_work_goes_on_inside(confined: Confined) -> None:
    assert confined.work == {
        "cells": [0] * 10 + [1] * 10,
        "database in the enclave": False,
        "fork server": [offered(), ANY],
        "sqlite": 7,
        "cipher": "sealed",
        "write to the memfd": "EPERM",
        "too much memory": "MemoryError",
    }


def test_it_serves_over_a_unix_socket_with_mutual_tls(confined: Confined) -> None:
    assert confined.answer == b"cba"
    assert confined.serving == {"loop": "uvloop", "mode": "0o700"}
    assert confined.strangers == [grpc.StatusCode.UNAVAILABLE] * 3
    assert confined.stopped == {"stopped": True}
    assert (confined.returncode, confined.messages) == (0, "")
