"""What a member remembers of the room's log: how far it verified it, and what its witnesses lack.

Several processes of one member remember it in one file: none takes back what another verified.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from saferoom_client.files import bad_file, changing, read_model, write_model
from saferoom_client.tongue import later
from saferoom_proto.checkpoint import Checkpoint, Note
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements.base import Instant, Part

LOG: Final = "log.json"

_RESTORE: Final = later(
    "Put the file back from a copy. Without one, take it away: what the log was before is forgotten"
    " then, and a log that was cut meanwhile is not noticed."
)


def _head(note: str) -> str:
    try:
        Checkpoint.parse(Note.parse(note).text)
    except SafeRoomError:
        raise ValueError("no checkpoint of a log") from None
    return note


Head = Annotated[str, AfterValidator(_head)]
"""A C2SP tlog-checkpoint; who signed it is another matter."""


class UnseenHead(Part):
    """A head that a member went by before its witnesses are known to have seen it."""

    checkpoint: Head
    since: Instant


class SeenLog(Part):
    """How far this member has verified the room's log."""

    checkpoint: Head
    unseen: Annotated[UnseenHead | None, Field(exclude_if=operator.not_)] = None
    """The oldest that the witnesses have not seen; none if they have seen all."""

    @property
    def head(self) -> Checkpoint:
        """What its newest checkpoint says."""
        return Checkpoint.parse(Note.parse(self.checkpoint).text)


@dataclass(frozen=True, slots=True)
class LogMemory:
    """The file in which a member remembers the log.

    Attributes:
        path: where it is.
    """

    path: Path

    def read(self) -> SeenLog | None:
        """Give what this member verified of the log before, if it did.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file and what is wrong in it.
        """
        if not self.path.exists():
            return None
        try:
            return read_model(self.path, SeenLog)
        except SafeRoomError as error:
            error.add_note(_RESTORE)
            raise

    def keep(self, note: str) -> None:
        """Remember a verified head, durably, unless another process verified a later one."""

        def after(seen: SeenLog | None) -> SeenLog:
            kept = SeenLog(checkpoint=note, unseen=None if seen is None else seen.unseen)
            return kept if seen is None or seen.head.size <= kept.head.size else seen

        self._change(after)

    def keep_unseen(
        self, note: str, before: UnseenHead | None, head: UnseenHead | None
    ) -> UnseenHead | None:
        """Remember, durably, what the witnesses have not seen of a log with this verified head.

        Args:
            note: the verified head.
            before: what was remembered when that was judged.
            head: what they have not seen.

        Returns:
            What is remembered now: another process's word, if it judged meanwhile.
        """

        def after(seen: SeenLog | None) -> SeenLog:
            known = seen or SeenLog(checkpoint=note)
            return known.model_copy(update={"unseen": head}) if known.unseen == before else known

        return self._change(after).unseen

    def go_over(self, note: str) -> None:
        """Remember a head that the next key signed in place of those that the former one did."""

        def after(seen: SeenLog | None) -> SeenLog:
            unseen = None if seen is None else seen.unseen
            over = None if unseen is None else unseen.model_copy(update={"checkpoint": note})
            return SeenLog(checkpoint=note, unseen=over)

        self._change(after)

    def refused(self) -> SafeRoomError:
        """Give the refusal of a remembered head that the pinned keys did not sign."""
        refusal = bad_file(self.path, "the pinned keys of the room did not sign what it holds")
        refusal.add_note(_RESTORE)
        return refusal

    def _change(self, after: Callable[[SeenLog | None], SeenLog]) -> SeenLog:
        with changing(self.path.parent):
            seen = self.read()
            kept = after(seen)
            if kept != seen:  # a key agent looks every few seconds
                write_model(self.path, kept)
        return kept
