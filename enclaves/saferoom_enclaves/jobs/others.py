"""What a host does with other owners' enclaves, message by message.

They give their columns, say that the job may go on, and keep their parts of the model. Of their
columns nothing is kept here: with the child they are gone. It is the same for a joint training and
for one in the room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.between import Given, Step
from saferoom_enclaves.jobs.line import Line
from saferoom_enclaves.jobs.model import part_of_model
from saferoom_enclaves.jobs.uses import columns_of_part
from saferoom_enclaves.worker import Worker
from saferoom_proto.encoding import unb64
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import SUBJECT_BYTES

_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Joint:
    """A job of several owners, as its host asks the others about it.

    Attributes:
        job: its digest.
        certificate: what it runs under.
        others: the parts of the other owners.
        items: how many subjects an ask names, filled up with nobody.
        asking: counts that all others are asked for what takes them long.
    """

    job: str
    certificate: str
    others: tuple[OwnerPart, ...]
    items: int
    asking: Callable[[Enclave], None]


@dataclass(frozen=True, slots=True, repr=False)
class Brought:
    """Other owners' columns of the common subjects, and what their state is kept under.

    Attributes:
        columns: 8 bytes a number, row by row, by owner.
        key: of the training's state.
    """

    columns: Mapping[str, bytes]
    key: bytes


class Others:
    """Talks with the other owners' enclaves of one job, over the line by which the room hears.

    Args:
        worker: has the enclave do one thing at a time.
        line: the room carries what is asked over it.
    """

    def __init__(self, worker: Worker, line: Line) -> None:
        self._worker: Final = worker
        self._line: Final = line

    def require_all(self, joint: Joint) -> None:
        """Refuse with `UNAVAILABLE` while another owner's enclave does not serve."""
        for part in joint.others:
            self._line.papers(part.owner)

    async def held(self, joint: Joint, common: bytes) -> bytes:
        """Find which subjects, of those that are known here to count, all owners hold.

        Every other owner is asked, and by an ask of one length, even if there are none.

        Returns:
            Their places among the common ones, ascending: 4 bytes each.
        """
        await self._count(joint)
        kept = np.ones(len(common) // SUBJECT_BYTES, np.bool_)
        asked = between.filled_up(common, joint.items)
        for part in joint.others:
            _, body = await self._ask(joint, part.owner, Step.HOLDS, asked)
            found = np.frombuffer(body, np.uint8)
            if len(found) != joint.items or bool((found > 1).any()):
                raise _garbled(part.owner)
            kept &= found[: len(kept)].astype(np.bool_)
        return np.flatnonzero(kept).astype("<u4").tobytes()

    async def columns(self, joint: Joint, common: bytes) -> Brought:
        """Have the other owners give their columns, each after it judged what is trained on."""
        await self._count(joint)
        rows, columns, shares = len(common) // SUBJECT_BYTES, dict[str, bytes](), list[bytes]()
        asked = between.filled_up(common, joint.items)
        for part in joint.others:
            told, body = await self._ask(joint, part.owner, Step.COLUMNS, asked)
            count, share = len(columns_of_part(part)), unb64(told.share)
            whole = len(body) == rows * count * _NUMBER_BYTES and len(share) == between.SECRET_BYTES
            if not whole or not np.isfinite(np.frombuffer(body, np.float64)).all():
                raise _garbled(part.owner)
            columns[part.owner] = body
            shares.append(share)
        return Brought(columns, between.state_key(joint.job, shares))

    async def go_on(self, joint: Joint) -> None:
        """Have every other owner's enclave say that the job may go on."""
        for part in joint.others:
            await self._ask(joint, part.owner, Step.GOES_ON, b"")

    async def keep(self, joint: Joint, told: between.Kept, model: bytes) -> None:
        """Have every other owner keep its part of the model.

        They say that there is a model once this enclave has: until then each can be asked again.
        """
        for part in joint.others:
            own = part_of_model(model, columns_of_part(part))
            body = told.model_dump_json().encode() + b"\n" + own
            await self._ask(joint, part.owner, Step.KEEP, body)

    async def _count(self, joint: Joint) -> None:
        """Count that all other owners are asked for what takes them long, if all serve."""
        self.require_all(joint)
        await self._worker.run(joint.asking)

    async def _ask(self, joint: Joint, owner: str, step: Step, body: bytes) -> tuple[Given, bytes]:
        papers = self._line.papers(owner)
        ask, peer = await self._worker.run(
            lambda own: own.jobs.hosting.ask(joint.job, joint.certificate, papers, step, body)
        )
        sealed = await self._line.ask(owner, ask.sealed)
        return await self._worker.run(lambda own: own.jobs.hosting.told(ask, peer, sealed))


def side_by_side(own: bytes, rows: int, brought: Brought) -> bytes:
    """Put all owners' columns beside each other, the host's first."""
    blocks = [np.frombuffer(each, np.float64) for each in (own, *brought.columns.values())]
    return np.hstack([block.reshape(rows, -1) for block in blocks]).tobytes()


def chosen(common: bytes, places: bytes) -> bytes:
    """Give the subjects at some places."""
    subjects = np.frombuffer(common, f"S{SUBJECT_BYTES}")
    return subjects[np.frombuffer(places, "<u4")].tobytes()


def _garbled(owner: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"the enclave of {owner} gives what was not asked")
