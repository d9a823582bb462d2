"""Going back to an earlier snapshot: by an approver's order, once, while it is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saferoom_enclaves.vault import snapshot_path
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import KEPT_SNAPSHOTS, RollbackOrder
from saferoom_proto.statements import Snapshot, StoreState, load, seal_statement
from simulator import EnclaveHarness, Firm, Sample, tax_csv
from simulator.sample import TAX_TABLES, court_csv, schema

POOR = {1: Firm("1", arrears=False, rating="A")}


def first(enclave: EnclaveHarness) -> StoreState:
    store = enclave.enclave.store
    assert store is not None
    return store


def loaded(enclave: EnclaveHarness, room: Sample) -> Snapshot:
    """Load other records; firm 1 is poor in them."""
    report = enclave.load({"firms": tax_csv(room.world, POOR)})
    assert report.snapshot is not None
    return load(report.snapshot.statement, Snapshot)


def answer(enclave: EnclaveHarness, room: Sample) -> Truth | Reason | None:
    verdict = enclave.ask(room.question(1, "10000"))
    return verdict.truth or verdict.reason


def refused(enclave: EnclaveHarness, order: Envelope) -> Reason:
    before, files = enclave.enclave.whereabouts(), sorted(enclave.folder.iterdir())
    with pytest.raises(SafeRoomError) as error:
        enclave.roll_back(order)
    assert enclave.enclave.whereabouts().chain_length == before.chain_length
    assert sorted(enclave.folder.iterdir()) == files
    return error.value.reason


def test_going_back_answers_from_the_earlier_records_in_a_new_epoch(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    wrong = loaded(enclave, room)
    assert answer(enclave, room) is Truth.NO
    order = enclave.rollback_order(was.digest)
    entry = enclave.roll_back(order)
    snapshot = load(entry.statement, Snapshot)
    assert entry.order == order
    assert (snapshot.order, snapshot.previous) == (order.digest, wrong.store)
    assert snapshot.store.epoch == 3
    assert snapshot.store.digest not in (was.digest, wrong.store.digest)
    assert snapshot.rows == {"firms": 4}
    assert answer(enclave, room) is Truth.YES
    release = enclave.ask(room.question(2)).release
    assert release.store == snapshot.store
    enclave.kill()
    assert answer(enclave, room) is Truth.YES
    assert enclave.enclave.store == snapshot.store


def test_going_back_opens_a_new_period(enclave: EnclaveHarness, room: Sample) -> None:
    was = first(enclave)
    charged = [enclave.ask(room.question()).release.charges]
    for _ in range(2):
        enclave.load({"firms": tax_csv(room.world)})
        charged.append(enclave.ask(room.question()).release.charges)
    enclave.roll_back(enclave.rollback_order(was.digest))
    charged.append(enclave.ask(room.question()).release.charges)
    # The same price in every period, and no period's repeats free in the next.
    assert all(charges == charged[0] and charges for charges in charged)


def test_what_was_gone_back_from_can_be_gone_forward_to(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    other = loaded(enclave, room)
    enclave.roll_back(enclave.rollback_order(was.digest))
    enclave.roll_back(enclave.rollback_order(other.store.digest))
    assert answer(enclave, room) is Truth.NO


def test_a_snapshot_that_is_not_kept_any_more_is_refused_by_that_name(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    for _ in range(KEPT_SNAPSHOTS - 1):
        enclave.load({"firms": tax_csv(room.world)})
    assert snapshot_path(enclave.folder, was.epoch).exists()
    enclave.load({"firms": tax_csv(room.world)})
    assert not snapshot_path(enclave.folder, was.epoch).exists()
    assert refused(enclave, enclave.rollback_order(was.digest)) is Reason.SNAPSHOT_GONE
    assert refused(enclave, enclave.rollback_order(first(enclave).digest)) is Reason.CONFLICT


def test_a_kept_file_that_was_altered_is_not_gone_back_to(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    path = snapshot_path(enclave.folder, was.epoch)
    loaded(enclave, room)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\0")
    assert refused(enclave, enclave.rollback_order(was.digest)) is Reason.STORE_DAMAGED
    path.write_bytes(whole)
    path.unlink()
    assert refused(enclave, enclave.rollback_order(was.digest)) is Reason.STORE_DAMAGED
    assert answer(enclave, room) is Truth.NO


def test_a_rollback_to_an_older_schema_is_one_to_its_rows(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was, old = first(enclave), enclave.newest_schema()
    room.tax.publish_schema(schema("tax", *TAX_TABLES, version=2))
    enclave.follow()
    loaded(enclave, room)
    snapshot = load(enclave.roll_back(enclave.rollback_order(was.digest)).statement, Snapshot)
    assert snapshot.schema_digest == old != enclave.newest_schema()
    assert answer(enclave, room) is Truth.YES


def test_a_killed_rollback_leaves_the_store_and_takes_no_number_twice(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    loaded(enclave, room)
    enclave.enclave.begin_rollback(enclave.rollback_order(was.digest)).build()
    enclave.kill()
    assert answer(enclave, room) is Truth.NO
    snapshot = load(enclave.roll_back(enclave.rollback_order(was.digest)).statement, Snapshot)
    assert snapshot.store.epoch == 4


def test_an_order_counts_once_and_only_by_its_time(enclave: EnclaveHarness, room: Sample) -> None:
    was = first(enclave)
    wrong = loaded(enclave, room)
    order = enclave.rollback_order(was.digest)
    enclave.roll_back(order)
    assert refused(enclave, order) is Reason.CONFLICT
    # Also not where the same snapshot is in use again: it would be older than the last order.
    again = enclave.rollback_order(wrong.store.digest)
    enclave.roll_back(again)
    for old in (order, again):
        assert refused(enclave, old) is Reason.CONFLICT
    enclave.restart()
    assert refused(enclave, order) is Reason.CONFLICT


def test_of_a_load_and_a_rollback_at_once_the_first_counts(
    enclave: EnclaveHarness, room: Sample
) -> None:
    was = first(enclave)
    loaded(enclave, room)
    built = enclave.enclave.begin_rollback(enclave.rollback_order(was.digest)).build()
    loaded(enclave, room)
    with pytest.raises(SafeRoomError, match="CONFLICT"):
        enclave.enclave.commit_store(built)
    assert answer(enclave, room) is Truth.NO


@pytest.fixture
def court(room: Sample, enclave: EnclaveHarness) -> Iterator[EnclaveHarness]:
    """Give the court's enclave beside the tax office's, with records."""
    harness = EnclaveHarness(room.court, enclave.folder.parent / "court")
    harness.load({"judgments": court_csv(room.world)})
    yield harness
    harness.close()


def test_only_an_approver_of_this_owner_orders_it(
    enclave: EnclaveHarness, room: Sample, court: EnclaveHarness
) -> None:
    was = first(enclave)
    loaded(enclave, room)
    says = load(enclave.rollback_order(was.digest), RollbackOrder)
    stranger = room.world.seeds.signing("nobody")
    for order in (
        seal_statement(says, stranger),
        seal_statement(says, room.tax.root),
        seal_statement(says, room.tax.approvers["li"]),
        seal_statement(says.model_copy(update={"approver": "nobody"}), stranger),
        seal_statement(says, room.court.approvers["chen"]),
        court.rollback_order(was.digest),
        seal_statement(
            says.model_copy(update={"room": "another.example"}), room.tax.approvers["chen"]
        ),
    ):
        assert refused(enclave, order) is Reason.BAD_SIGNATURE
    # Another owner's snapshot is none that this enclave ever made.
    other = enclave.rollback_order(first(court).digest)
    assert refused(enclave, other) is Reason.SNAPSHOT_GONE
