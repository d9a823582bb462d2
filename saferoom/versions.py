"""The snapshots of an owner's store as the log holds them, each with the order it carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom.archive import Archive
from saferoom.evidence import Recorded
from saferoom.mentions import About
from saferoom.notary import Notary
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyChange, Snapshot, load


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """A recorded snapshot and its order."""

    snapshot: Recorded[Snapshot]
    order: Envelope


@dataclass(frozen=True, slots=True)
class StoreHeld:
    """An owner's newest snapshot, and the schema that it names."""

    snapshot: Recorded[Snapshot]
    schema: Envelope


class Versions:
    """Finds snapshots, and the words on changes of the key that they are sealed under.

    Args:
        archive: holds them.
        notary: proves them.
    """

    def __init__(self, archive: Archive, notary: Notary) -> None:
        self._archive: Final = archive
        self._notary: Final = notary

    async def of(self, owner: str) -> tuple[StoreVersion, ...]:
        """Give an owner's snapshots in the order in which they were recorded."""
        found = await self._archive.about(About.SNAPSHOTS_OF_OWNER, owner)
        versions: list[StoreVersion] = []
        for each in found:
            snapshot = self._notary.prove(each, load(each.envelope, Snapshot))
            order = self._archive.statement(snapshot.said.order)
            if order is None:  # it is recorded before the snapshot that names it
                raise SafeRoomError(Reason.INTERNAL, "a snapshot without its order")
            versions.append(StoreVersion(snapshot, order))
        return tuple(versions)

    async def newest(self, owner: str) -> StoreHeld | None:
        """Give an owner's newest snapshot; none if nothing was loaded."""
        found = await self._archive.about(About.SNAPSHOTS_OF_OWNER, owner, most=1)
        if not found:
            return None
        snapshot = self._notary.prove(found[0], load(found[0].envelope, Snapshot))
        schema = self._archive.statement(snapshot.said.schema_digest)
        if schema is None:  # it is recorded before the snapshot that names it
            raise SafeRoomError(Reason.INTERNAL, "a snapshot without its schema")
        return StoreHeld(snapshot, schema)

    async def newest_key_change(self, owner: str) -> Recorded[KeyChange] | None:
        """Give an enclave's newest word on a change of its store's key."""
        found = await self._archive.about(About.KEY_CHANGES_OF_OWNER, owner)
        if not found:
            return None
        return self._notary.prove(found[-1], load(found[-1].envelope, KeyChange))
