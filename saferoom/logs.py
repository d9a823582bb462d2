"""The operator's log: one JSON object a line, on standard error.

What is logged are events of the room, its members' names, statements' digests and refusals' reasons
and details. Records never reach this process, and answers reach it sealed.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger

Log = FilteringBoundLogger


class Level(StrEnum):
    """From which events on the log is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def make_log(level: Level, file: TextIO = sys.stderr) -> Log:
    """Make a log that writes to a file.

    Nothing is configured for the whole process: who logs is handed the log.
    """
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
    )
    return log


def trace(error: BaseException) -> Sequence[str]:
    """Tell where an error came from: types and places, without any message.

    Messages of other libraries quote values: a parameter of a statement, a field of a payload.
    """
    lines: list[str] = []
    each: BaseException | None = error
    while each is not None:
        lines.append(type(each).__qualname__)
        frames = traceback.extract_tb(each.__traceback__)
        lines.extend(f"  {Path(at.filename).name}:{at.lineno} {at.name}" for at in frames)
        each = each.__cause__ or each.__context__
    return lines
