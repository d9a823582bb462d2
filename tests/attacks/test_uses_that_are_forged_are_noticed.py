"""Uses that a room drops, doubles or makes up show in the enclave's own chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from saferoom_client.usage import added_up
from saferoom_client.use import Use
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ChainLink, Disclosure, Release, load, seal_statement
from saferoom_proto.wire import Recorded
from simulator import EnclaveHarness, Sample


@pytest.fixture
def uses(room: Sample, enclave: EnclaveHarness) -> list[Use]:
    """Ask five questions, one of them beside the grid; give what became of each, newest first."""
    points = ("50000", "100000", "50001", "50000", "100000")
    return [use(room, enclave, each) for each in points][::-1]


def use(room: Sample, enclave: EnclaveHarness, point: str) -> Use:
    judged = enclave.judge(room.question(min_vat=point))
    statement = judged.entry.statement
    said = load(statement, Release)
    return Use(
        index=judged.entry.chain_index,
        word=Recorded(statement, judged.entry.salt, ""),
        owner=said.owner,
        institution=said.institution,
        request_id=said.request,
        template=said.template,
        reason=said.reason,
        time=said.time,
        charges=said.charges,
        epoch=None if said.store is None else said.store.epoch,
    )


def noticed(uses: Sequence[Use]) -> bool:
    try:
        added_up(uses)
    except SafeRoomError as error:
        assert "the enclave of tax has two histories" in error.detail
        assert error.reason is Reason.STORE_ROLLED_BACK
        return True
    return False


def test_what_is_added_up_is_what_was_asked(uses: list[Use], room: Sample) -> None:
    usage = added_up(uses)
    assert usage.elsewhere == 0
    (total,) = usage.totals.values()
    assert (total.asked, total.answered) == (5, 4)
    assert total.refused == {"OFF_GRID": 1}
    charged = {feature for _, feature, _ in usage.features}
    assert charged == {"tax.vat_paid", "tax.arrears"}
    assert total.bits == pytest.approx(sum(bits for _, bits in usage.features.values()))


def test_a_subject_that_looks_at_its_own_is_nobodys_use_and_has_its_place(
    uses: list[Use], room: Sample, enclave: EnclaveHarness
) -> None:
    statement = enclave.disclose(room.world.subject(1).claim("tax")).entry.statement
    said = load(statement, Disclosure)
    looked = replace(
        uses[0], word=Recorded(statement, b"", ""), institution=said.subject, charges=()
    )
    usage = added_up([looked, *uses])
    assert (usage.shown, usage.elsewhere) == (1, 0)
    assert usage.totals == added_up(uses).totals


def test_a_dropped_use_leaves_a_place_that_is_counted(uses: list[Use]) -> None:
    assert added_up([*uses[:2], *uses[3:]]).elsewhere == 1


def test_a_doubled_use_counts_once_or_is_noticed(uses: list[Use]) -> None:
    # The list refuses an entry that comes twice; one word in two entries has one place.
    again = replace(uses[0], index=99)
    assert added_up([again, *uses]).elsewhere == 0
    other = _resealed(uses[0], uses[1])
    assert noticed([other, *uses[1:]])


def test_a_word_that_another_history_follows_is_noticed(
    uses: list[Use], room: Sample, enclave: EnclaveHarness
) -> None:
    said = load(uses[1].word.statement, Release)
    link = ChainLink(index=said.chain.index, previous="sha256:" + "0" * 64)
    elsewhere = seal_statement(said.model_copy(update={"chain": link}), enclave.keys.identity)
    altered = replace(uses[1], word=replace(uses[1].word, statement=elsewhere))
    assert noticed([uses[0], altered, *uses[2:]])


def _resealed(use: Use, place: Use) -> Use:
    """Give a use whose word claims another's place."""
    said, other = (load(each.word.statement, Release) for each in (use, place))
    statement = seal_statement(
        said.model_copy(update={"chain": other.chain}), SigningKey.from_seed(bytes(32))
    )
    return replace(use, word=replace(use.word, statement=statement))
