"""An auditor sees that a report told a column which its owner's schema did not call public."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from saferoom_client.audit.book import Book
from saferoom_client.audit.reports import require_public
from saferoom_client.records.coverage import Store
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Release, Snapshot, StoreState, load
from saferoom_proto.trust import Trust
from simulator.listed import ListRoom, registers
from simulator.reported import ReportRoom, lists

HEARD = 10


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Release, ReleaseCertificate]]:
    """Give an enclave's word on a report, and what it could let out."""
    room = ReportRoom.make(tmp_path_factory.mktemp("audited"))
    of = room.approved()
    said = room.said(room.enclave.report(room.request(of)))
    yield said, load(of.certificate, ReleaseCertificate)
    room.enclave.close()


def book(*levels: int) -> Book:
    """Give a log that holds versions of the court's schema, by the level of a column."""
    made = Book(cast("Trust", None))
    for entry, level in enumerate(levels, 1):
        digest = f"sha256:{entry:064x}"
        made.schemas[digest] = lists(court=level, version=entry)
        made.entries[digest] = entry * 5
    return made


def test_what_was_public_when_it_was_told_is_no_violation(
    told: tuple[Release, ReleaseCertificate],
) -> None:
    require_public(book(1), *told, HEARD)
    # Raised, and lowered again before it was told; and raised where the enclave had not heard.
    require_public(book(2, 1), *told, HEARD)
    require_public(book(1, 1, 2), *told, HEARD)
    with pytest.raises(SafeRoomError) as caught:
        require_public(book(1, 2), *told, HEARD)
    assert caught.value.reason is Reason.NOT_ALLOWED
    assert caught.value.detail == "it told listed.court, of level 2"


def test_a_column_that_the_newest_schema_has_no_more_is_a_violation(
    told: tuple[Release, ReleaseCertificate],
) -> None:
    made = book(1, 1)
    newest = max(made.schemas.values(), key=lambda each: each.version)
    (listed,) = newest.tables
    without = [each for each in listed.columns if each.name != "court"]
    for tables in (
        (listed.model_copy(update={"columns": tuple(without)}),),
        (listed.model_copy(update={"name": "renamed"}),),
    ):
        made.schemas["sha256:" + f"{2:064x}"] = newest.model_copy(update={"tables": tables})
        with pytest.raises(SafeRoomError) as caught:
            require_public(made, *told, HEARD)
        assert caught.value.reason is Reason.NOT_ALLOWED


def test_the_schema_of_the_records_counts_whatever_the_newest_says(
    told: tuple[Release, ReleaseCertificate],
) -> None:
    said, certificate = told
    made = book(1)
    snapshot = Snapshot.model_construct(owner="court", store=said.store, rows={})
    made.stores["court"] = Store(lists(court=3), snapshot)
    with pytest.raises(SafeRoomError) as caught:
        require_public(made, said, certificate, HEARD)
    assert caught.value.reason is Reason.NOT_ALLOWED
    other = StoreState(epoch=9, digest="sha256:" + "9" * 64)
    made.stores["court"] = Store(lists(court=3), snapshot.model_copy(update={"store": other}))
    require_public(made, said, certificate, HEARD)
    assert said.store != other


@pytest.mark.parametrize("raised", [{"trade": 2}, {"off": 3}, {"code": 2}], ids=str)
def test_a_list_that_rested_on_a_column_above_level_1_is_a_violation(
    tmp_path: Path, raised: dict[str, int]
) -> None:
    room = ListRoom.make(tmp_path)
    of = room.approved()
    said = room.said(room.enclave.report(room.request(of)))
    room.enclave.close()
    certificate = load(of.certificate, ReleaseCertificate)
    made = Book(cast("Trust", None))
    for entry, schema in enumerate((registers(), registers(**raised, version=2)), 1):
        digest = f"sha256:{entry:064x}"
        require_public(made, said, certificate, HEARD)
        made.schemas[digest], made.entries[digest] = schema, entry * 5
    with pytest.raises(SafeRoomError) as caught:
        require_public(made, said, certificate, HEARD)
    assert caught.value.reason is Reason.NOT_ALLOWED
