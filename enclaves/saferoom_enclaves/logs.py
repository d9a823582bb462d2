"""The enclave's log: one JSON object a line on standard error, for its operator.

It tells of statements' kinds and digests, request ids, reasons, and where in the code something
failed. An error's own message is never written: libraries quote values in theirs.

Made of the standard library alone: structlog would load a terminal library into the process that
holds the records, at 4 MB and a fifth of a second of every start (measured).
"""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from saferoom_proto.reasons import SafeRoomError


class Log:
    """Writes events of one owner's enclave. Who logs is handed it; nothing is global.

    Args:
        owner: whose enclave it is.
        file: where the lines go.
    """

    def __init__(self, owner: str, file: TextIO = sys.stderr) -> None:
        self._owner: Final = owner
        self._file: Final = file

    def info(self, event: str, **fields: object) -> None:
        """Tell of something that is as it should be, a refusal too."""
        self._write("info", event, fields)

    def refused(self, request: str, institution: str, refusal: SafeRoomError) -> None:
        """Tell of a request that was refused by a verdict, and why: no detail holds a value."""
        reason, detail = str(refusal.reason), refusal.detail
        self.info("refused", request=request, institution=institution, reason=reason, detail=detail)

    def warning(self, event: str, **fields: object) -> None:
        """Tell of something that the operator may want to look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell of something that failed."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "enclave": self._owner,
            "event": event,
            **fields,
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def places(error: BaseException) -> list[str]:
    """Tell the types of an error and its causes, and the places they came through."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        lines.append(type(cause).__name__)
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
        cause = cause.__cause__ or cause.__context__
    return lines
