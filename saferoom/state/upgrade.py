"""Brings the database's tables up to date, by Alembic's migrations."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from saferoom_proto.reasons import Reason, SafeRoomError


def upgrade(connection: Connection, path: Path) -> None:
    """Run the migrations that the database lacks, all of them or none.

    Raises:
        SafeRoomError: `BAD_CONFIG` if a newer version of the program made it; `UNAVAILABLE` if the
            disk is full, and then nothing is changed; `STORE_DAMAGED` if it is no such database.
    """
    config = Config()
    config.set_main_option("script_location", "saferoom.state:migrations")
    config.attributes["connection"] = connection
    try:
        with connection.begin():
            command.upgrade(config, "head")
    except CommandError as error:
        detail = f"a newer version of the program made {path}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            detail = (
                f"{path} is as it was: bringing it up to date takes twice its size in free disk"
            )
            raise SafeRoomError(Reason.UNAVAILABLE, detail) from error
        raise SafeRoomError(Reason.STORE_DAMAGED, f"{path} is no database of ours") from error
