"""The enclave's log: one JSON object a line on standard error, for its operator.

It tells of statements' kinds and digests, request ids, reasons, and where in the code something
failed. An error's own message is never written: libraries quote values in theirs.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger

Log = FilteringBoundLogger


def make_log(owner: str, file: TextIO = sys.stderr) -> Log:
    """Make the log of an owner's enclave. Who logs is handed it; nothing is configured globally."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        enclave=owner,
    )
    return log


def places(error: BaseException) -> list[str]:
    """Tell the types of an error and its causes, and the places they came through."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        lines.append(type(cause).__name__)
        for frame in traceback.extract_tb(cause.__traceback__):
            lines.append(f"{Path(frame.filename).name}:{frame.lineno}")  # noqa: PERF401
        cause = cause.__cause__ or cause.__context__
    return lines
