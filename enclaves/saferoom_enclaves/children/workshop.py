"""The enclave's side of its children: has a job done, within bounds, and says how it ended."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Final, cast

from saferoom_enclaves.attest import Confinement
from saferoom_enclaves.children import frames
from saferoom_enclaves.children.bounds import Bounds, Ending
from saferoom_enclaves.children.conversation import Conversation
from saferoom_enclaves.children.forkserver import MOST_CHILDREN, Terms
from saferoom_enclaves.children.frames import Frame
from saferoom_proto.reasons import Reason, SafeRoomError

LAST_SECONDS: Final = 2.0
"""How long a child may take to end after its answer."""
_SLACK_SECONDS: Final = 5.0
"""Past a child's time before the fork server itself is taken for dead."""
_TERMS_SECONDS: Final = 30.0
_MOST_ANSWER_BYTES: Final = 16 << 20
_MOST_FILES: Final = 1
_REPORT_BYTES: Final = 1 << 16
_ENDING_BYTES: Final = 32

_SAID: Final = re.compile(rb"said ([0-9]{1,5})")
"""What a child says on its way: a number, such as which feature it has come to."""

Heard = Callable[[int], None]


class Stop:
    """Gives work up, from any thread: its child is killed, and none is begun any more."""

    def __init__(self) -> None:
        self._lock: Final = Lock()
        self._channel: socket.socket | None = None
        self.given_up = False

    def __call__(self) -> None:
        """Give it up."""
        with self._lock:
            self.given_up = True
            if self._channel is not None:
                with suppress(OSError):  # its child has ended just now
                    self._channel.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def over(self, channel: socket.socket) -> Generator[None]:
        """Have the talk with a child end, too, once it is given up."""
        with self._lock:
            if self.given_up:
                raise _given_up()
            self._channel = channel
        try:
            yield
        finally:
            with self._lock:
                self._channel = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do.

    Attributes:
        message: the job, as `work` takes it.
        files: descriptors that go with it; they stay the caller's.
        bounds: what it may use.
        quiet_seconds: the longest that it may say nothing; none if its bounds are enough.
        stop: gives it up; none if nothing does.
    """

    message: bytes
    files: tuple[int, ...]
    bounds: Bounds
    quiet_seconds: float | None = None
    stop: Stop | None = None

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.stop is not None and self.stop.given_up


class ChildError(SafeRoomError):
    """A child gave no answer. `ending` tells how it ended, none if nobody could tell."""

    def __init__(self, reason: Reason, detail: str, ending: Ending | None) -> None:
        super().__init__(reason, detail)
        self.ending: Final = ending


class Workshop:
    """Has jobs done by children of the fork server. Any thread may use it.

    Args:
        control: the socket to the fork server.
        terms: how it is to confine itself.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it cannot; `UNAVAILABLE` if it is not there.
    """

    def __init__(self, control: socket.socket, terms: Terms) -> None:
        self._control: Final = control
        self._places: Final = BoundedSemaphore(MOST_CHILDREN)
        control.settimeout(_TERMS_SECONDS)
        try:
            control.send(terms.to_bytes())
            said = cast("dict[str, object]", json.loads(control.recv(_REPORT_BYTES) or b"{}"))
        except OSError as error:
            raise _gone() from error
        if "refused" in said:
            raise SafeRoomError(Reason.BAD_CONFIG, f"fork server: {said['refused']}")
        if "level" not in said:
            raise _gone()
        missing = cast("list[str]", said["missing"])
        self.confinement: Final = Confinement(
            cast("int", said["level"]), tuple(f"fork server: {each}" for each in missing)
        )
        """How the fork server is confined, and its children at least."""
        control.setblocking(False)

    @property
    def is_there(self) -> bool:
        """Whether there is a fork server, or who makes it anew."""
        poll = select.poll()
        poll.register(self._control, 0)
        return not poll.poll(0)

    def close(self) -> None:
        """Let the fork server go, and with it every child."""
        self._control.close()

    def run(self, job: Job, heard: Heard = lambda _: None) -> Frame:
        """Have a job done.

        Args:
            job: the job.
            heard: is called with what the child says on its way; what it raises ends the child.

        Returns:
            The child's answer, and the descriptor that came with it, if any. The child is gone.

        Raises:
            ChildError: it ended without an answer, gave one that is not of the form, or was given
                up.
            SafeRoomError: `UNAVAILABLE`, there is no fork server.
        """
        with (
            self._places,
            self._child(job.bounds) as (channel, told),
            (job.stop or Stop()).over(channel),
        ):
            talk = _Talk(channel, told, job)
            try:
                return talk.answer(heard)
            except TimeoutError:
                raise talk.stopped() from None
            except OSError as error:
                # It is gone: the fork server knows why.
                raise talk.failed() from error

    @contextmanager
    def converse(self, bounds: Bounds) -> Generator[Conversation]:
        """Have a child to talk with, for as long as the context lasts; it is killed then.

        Raises:
            SafeRoomError: `UNAVAILABLE`, there is no fork server.
        """
        with self._places, self._child(bounds) as (channel, told):

            def failed() -> ChildError:
                return _failed(_ending(told, time.monotonic() + LAST_SECONDS), bounds)

            yield Conversation(channel, bounds, failed)

    @contextmanager
    def _child(self, bounds: Bounds) -> Generator[tuple[socket.socket, int]]:
        """Give the channel to a new child, and the pipe that tells of its end.

        Closing the pipe has the child killed, should it still run.
        """
        ours, theirs = socket.socketpair()
        told, telling = os.pipe2(os.O_CLOEXEC)
        try:
            with theirs:
                try:
                    socket.send_fds(self._control, [bounds.to_bytes()], [theirs.fileno(), telling])
                except OSError as error:
                    raise _gone() from error
                finally:
                    os.close(telling)
            yield ours, told
        finally:
            ours.close()
            os.close(told)


class _Talk:
    """One job's talk with its child."""

    def __init__(self, channel: socket.socket, told: int, job: Job) -> None:
        self._channel = channel
        self._told = told
        self._job = job
        self._deadline = time.monotonic() + job.bounds.wall_seconds + _SLACK_SECONDS

    def answer(self, heard: Heard) -> Frame:
        """Hand over the job, and wait for the answer and for the child's end."""
        self._wait_no_longer()
        frames.send(self._channel, self._job.message, self._job.files)
        while True:
            self._wait_no_longer()
            try:
                frame = frames.receive(self._channel, _MOST_ANSWER_BYTES, _MOST_FILES)
            except SafeRoomError as error:
                raise self._garbled(error) from error
            if frame is None:
                raise self.failed()
            said = _SAID.fullmatch(frame.message)
            if said is None:
                break
            frame.close()
            heard(int(said[1]))
        self._channel.close()
        ending = _ending(self._told, time.monotonic() + LAST_SECONDS)
        if ending is not Ending.DONE:
            frame.close()
            raise _failed(ending or Ending.CANCELLED, self._job.bounds)
        return frame

    def failed(self) -> ChildError:
        """Say why the child is gone, or that nobody waits for it any more."""
        if self._job.given_up:
            return _given_up()
        return _failed(_ending(self._told, self._deadline), self._job.bounds)

    def stopped(self) -> ChildError:
        """Say that it was waited for too long; what is told of its end may be more exact."""
        ending = _ending(self._told, time.monotonic())
        if ending is not None:
            return _failed(ending, self._job.bounds)
        seconds = self._job.quiet_seconds or self._job.bounds.wall_seconds
        return ChildError(Reason.DEADLINE, f"stopped after {seconds:g} s", Ending.TIME)

    def _garbled(self, error: SafeRoomError) -> ChildError:
        """Say what a message that is not of the form means: a child killed in mid-word, or lies."""
        if self._job.given_up:
            return _given_up()
        ending = _ending(self._told, time.monotonic() + LAST_SECONDS)
        if ending in {None, Ending.DONE}:
            return ChildError(Reason.INTERNAL, error.detail, ending)
        return _failed(ending, self._job.bounds)

    def _wait_no_longer(self) -> None:
        left = max(0.001, self._deadline - time.monotonic())
        quiet = self._job.quiet_seconds
        self._channel.settimeout(left if quiet is None else min(left, quiet))


def _ending(told: int, deadline: float) -> Ending | None:
    """Wait to be told how a child ended; none if nobody tells."""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        return None
    word = os.read(told, _ENDING_BYTES).decode("ascii", "replace")
    return Ending(word) if word else None


def _failed(ending: Ending | None, bounds: Bounds) -> ChildError:
    match ending:
        case Ending.PROCESSOR_TIME:
            detail = f"stopped after {bounds.cpu_seconds} s of processor time"
            return ChildError(Reason.DEADLINE, detail, ending)
        case Ending.TIME:
            detail = f"stopped after {bounds.wall_seconds:g} s"
            return ChildError(Reason.DEADLINE, detail, ending)
        case Ending.DONE:
            return ChildError(Reason.INTERNAL, "a child ended without an answer", ending)
        case Ending.CRASHED | Ending.CANCELLED:
            return ChildError(Reason.INTERNAL, "a child's process broke down", ending)
        case None:
            return ChildError(Reason.UNAVAILABLE, "nobody tells how a child ended", ending)


def _given_up() -> ChildError:
    return ChildError(Reason.CONFLICT, "given up", Ending.CANCELLED)


def _gone() -> SafeRoomError:
    return SafeRoomError(
        Reason.UNAVAILABLE, "the fork server is gone for good: the enclave is started anew"
    )
