"""Restricts the process, with Landlock, to the folders it was given.

Source: Documentation/userspace-api/landlock.rst and linux/landlock.h. Each kernel offers an ABI
version; what a version lacks is left out and named. Landlock binds the calling thread and whatever
it starts later, so it must come before any thread does. Nothing here grants execution: loading a
library maps it, which Landlock does not count as executing it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from saferoom_enclaves.sandbox.kernel import system_call

_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

# LANDLOCK_ACCESS_FS_*, linux/landlock.h.
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_MAKE_SOCK: Final = 1 << 9
_TRUNCATE: Final = 1 << 14

_READ: Final = _READ_FILE | _READ_DIR
_WRITE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_ON_FILES: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many file rights each ABI knows; from ABI 5 on, 16."""

_NET_TCP: Final = 0b11
"""LANDLOCK_ACCESS_NET_BIND_TCP and _CONNECT_TCP."""
_SCOPES: Final = 0b11
"""LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and LANDLOCK_SCOPE_SIGNAL."""

TRUNCATE_ABI: Final = 3
TCP_ABI: Final = 4
DEVICES_ABI: Final = 5
SCOPES_ABI: Final = 6


def landlock_abi() -> int:
    """Returns the kernel's Landlock ABI version, at least 1.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off or forbidden.
    """
    return system_call("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)


def restrict_files(
    read_only: Iterable[Path], read_write: Iterable[Path], socket_folders: Iterable[Path]
) -> int:
    """Leaves the calling thread nothing of the file system but the given paths.

    TCP is refused altogether and, where the kernel can, so are signals and abstract sockets that
    belong to processes outside. The thread must have no_new_privs set.

    Args:
        read_only: files and folders that may be read and listed.
        read_write: folders in which files may also be made, written and removed.
        socket_folders: folders in which unix sockets may be made as well.

    Returns:
        The ABI version in force; see `TRUNCATE_ABI` and the others for what each brings.

    Raises:
        OSError: the kernel has no Landlock, or a path does not exist.
    """
    abi = landlock_abi()
    handled = (1 << _FILE_RIGHTS.get(abi, 16)) - 1
    grants = [(path, _READ) for path in read_only]
    grants += [(path, _WRITE) for path in read_write]
    grants += [(path, _WRITE | _MAKE_SOCK) for path in socket_folders]
    ruleset = _create_ruleset(abi, handled)
    try:
        for path, rights in grants:
            _grant(ruleset, path, rights & handled)
        system_call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _create_ruleset(abi: int, handled: int) -> int:
    # struct landlock_ruleset_attr: file rights, then network rights, then scopes; an older kernel
    # takes the shorter structure it knows.
    fields = [handled]
    if abi >= TCP_ABI:
        fields.append(_NET_TCP)
    if abi >= SCOPES_ABI:
        fields.append(_SCOPES)
    packed = struct.pack(f"={len(fields)}Q", *fields)
    attributes = ctypes.create_string_buffer(packed, len(packed))
    return system_call("landlock_create_ruleset", attributes, len(packed), 0)


def _grant(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ON_FILES
        packed = struct.pack("=Qi", rights, descriptor)  # struct landlock_path_beneath_attr
        rule = ctypes.create_string_buffer(packed, len(packed))
        system_call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
