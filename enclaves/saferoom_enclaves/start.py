"""An enclave's start, once its fork server is made: steps 2 to 6 of `__main__`."""

from __future__ import annotations

import os
import socket
import sys

from saferoom_enclaves.attest import Confinement
from saferoom_enclaves.children.workshop import Workshop
from saferoom_enclaves.launch import DOCUMENT_LIMIT_BYTES, LaunchConfig, Launched
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.sandbox import SandboxReport, close_system_calls, confine
from saferoom_enclaves.sandbox.limits import die_with_parent
from saferoom_enclaves.sandbox.swap import swap_findings
from saferoom_proto.reasons import SafeRoomError

_OTHERS_NOTHING = 0o077
_SWITCHED_OFF = SandboxReport.of((), ("everything: switched off by the configuration",))


def start(control: socket.socket) -> int:
    """Start, serve, and say how it ended.

    Args:
        control: the socket to the fork server.
    """
    log = Log("")
    try:
        config = LaunchConfig.from_json(sys.stdin.buffer.read(DOCUMENT_LIMIT_BYTES + 1))
        log = Log(config.owner)
        os.umask(_OTHERS_NOTHING)
        launched = Launched.prepare(config)
        workshop = Workshop(control, launched.terms())
        swap = swap_findings()  # before there is no file any more to look in
        begun = confine(launched.plan()) if config.sandbox else _unconfined(config)

        def close() -> Confinement:
            report = close_system_calls(begun) if config.sandbox else begun
            own = Confinement(report.level, (*report.missing, *swap))
            return _weaker(own, workshop.confinement)

        # Not before: what is imported here starts threads, which Landlock would not bind.
        from saferoom_enclaves.serve import serve  # noqa: PLC0415

        serve(launched, workshop, close, log)
    except SafeRoomError as error:
        log.error("not started", reason=str(error.reason), detail=error.detail)  # noqa: TRY400
        return 1
    except Exception as error:  # noqa: BLE001 - its message could quote a value
        log.error("failed", places=places(error))  # noqa: TRY400
        return 1
    return 0


def _weaker(own: Confinement, children: Confinement) -> Confinement:
    """Give what holds of both processes: records are in the hands of either."""
    return Confinement(min(own.level, children.level), (*own.missing, *children.missing))


def _unconfined(config: LaunchConfig) -> SandboxReport:
    if config.die_with_parent:
        die_with_parent()
    return _SWITCHED_OFF
