"""DuckDB, locked down and silenced: every connection of a child is made here.

Source: duckdb.org/docs/stable/operations_manual/securing_duckdb, and what was measured of 2.0.0: a
locked configuration still lets SQL read an attached file, attach `:memory:` and set variables, so
it is the second wall; the first is that only checked SQL is run. Its messages quote values (casts,
dates, arithmetic), so none leaves.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import duckdb

from saferoom_proto.reasons import Reason, SafeRoomError


def connect(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """Connects to an empty database in memory, without extensions, threads or spilling.

    Args:
        memory_bytes: DuckDB's own limit. It bounds what DuckDB buffers, not what a query
            allocates beside that: the process needs its address space limited too.
    """
    return duckdb.connect(
        config={
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "allow_unsigned_extensions": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # A division by zero is NULL, whole-number division too: it does not tell by failing
            # that some record is zero.
            "error_on_division_by_zero": False,
            "ieee_floating_point_ops": False,
            "memory_limit": f"{memory_bytes}B",
            "python_enable_replacements": False,
            "python_scan_all_frames": False,
            "temp_directory": "",  # an empty path: nothing is spilled to disk
            "threads": 1,
        }
    )


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Closes a connection to files and to changes of its settings; comes after every ATTACH."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def silenced(reason: Reason, doing: str) -> Generator[None]:
    """Turns DuckDB's errors into one of ours that quotes nothing.

    Args:
        reason: what to refuse with; exhausted memory is TOO_LARGE.
        doing: what failed, in words of ours.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        raise SafeRoomError(Reason.TOO_LARGE, f"{doing}: not enough memory") from None
    except duckdb.Error as error:
        # Not "from error": a traceback in a log would show the message, and the message a value.
        kind = type(error).__name__
        raise SafeRoomError(reason, f"{doing}: {kind}") from None
