"""A server that was taken over shows one enclave another log than everybody else, or an old one.

It has every key of the room, so that signatures and nonces are in order. What it lacks is the
witnesses' word: the charter asks for two of three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from saferoom_enclaves.stream import Delivery
from saferoom_proto.answer import Truth
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.cosignature import Algorithm, Cosigner
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.witnesses import WitnessPolicy
from simulator import FIRMS, EnclaveHarness, Sample, SimLedger, sample, tax_csv

AGE = 60
COSIGNERS = (
    Cosigner.generate("bank.example/w", Algorithm.ED25519),
    Cosigner.generate("owner.example/w", Algorithm.ML_DSA_44),
    Cosigner.generate("auditor.example/w", Algorithm.ML_DSA_44),
)
OTHERS = tuple(Cosigner.generate(f"{each}.example/w", Algorithm.ED25519) for each in "abc")


def policy_of(cosigners: Sequence[Cosigner]) -> WitnessPolicy:
    """Ask for two of these."""
    keys = tuple(each.key.text for each in cosigners)
    return WitnessPolicy(threshold=2, witnesses=keys, max_age_seconds=AGE)


class HonestWitness:
    """Cosigns what extends all that it saw, as `saferoom witness` does."""

    def __init__(self, cosigner: Cosigner) -> None:
        self.cosigner = cosigner
        self.seen: Checkpoint | None = None

    def cosign(self, ledger: SimLedger, time: int) -> str:
        """Look at a log; raises if it is not the one it saw before."""
        head = ledger.checkpoint()
        if self.seen is not None and self.seen.size:
            proof = ledger.consistency(self.seen.size) if self.seen.size < head.size else ()
            verify_consistency(self.seen.size, head.size, proof, self.seen.root, head.root)
        self.seen = head
        return self.cosigner.cosign(head, time)


class Watched:
    """A sample room whose tax office asks for two of three witnesses."""

    def __init__(self, said: Sample, enclave: EnclaveHarness) -> None:
        self.said = said
        self.world = said.world
        self.enclave = enclave
        self.witnesses = [HonestWitness(each) for each in COSIGNERS]

    def cosigned(self, *which: int, ledger: SimLedger | None = None, ago: int = 0) -> str:
        """Have witnesses cosign a log: the room's, if no other is given."""
        log = ledger or self.world.ledger
        time = int(self.world.now().timestamp()) - ago
        lines = [self.witnesses[each].cosign(log, time) for each in which]
        return sign_checkpoint(log.checkpoint(), log.key) + "".join(lines)

    def delivery(self, cosigned: str, size: int | None = None) -> Delivery:
        """Make the next delivery, with what witnesses cosigned at a size, or at the head's."""
        made = self.enclave.delivery()
        ledger = self.world.ledger
        joined = ledger.consistency(size) if size and size < ledger.size else ()
        return replace(made, cosigned=cosigned, cosigned_consistency=joined)

    def deliver(self, *which: int, ago: int = 0) -> None:
        """Bring what is new, and the witnesses' word on it."""
        self.enclave.delivery()  # whatever waits in the outbox is in the log now
        self.enclave.enclave.deliver(self.delivery(self.cosigned(*which, ago=ago)))

    def deliver_on(self, log: SimLedger) -> None:
        """Bring a head, and the word of all witnesses on what the log began with."""
        note = self.cosigned(0, 1, 2, ledger=log)
        self.enclave.enclave.deliver(self.delivery(note, log.size))

    def stay_at(self, log: SimLedger, *which: int) -> None:
        """Let time pass in which the enclave's log grows, and witnesses are shown another state."""
        self.world.clock.advance(20)
        note = self.cosigned(*(which or (0, 1, 2)), ledger=log)
        self.enclave.enclave.deliver(self.delivery(note, log.size))

    def reason(self) -> Reason:
        """Ask; tell why nothing is answered."""
        with pytest.raises(SafeRoomError) as refused:
            self.enclave.judge(self.said.question())
        return refused.value.reason

    def truth(self) -> Truth | None:
        """Ask; tell the answer."""
        return self.enclave.ask(self.said.question()).truth

    def pass_time(self, seconds: float) -> None:
        """Let time pass in which heads keep coming, but no witness's word."""
        for _ in range(int(seconds // 20)):
            self.world.clock.advance(20)
            self.enclave.follow()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    said = sample("watched", witnesses=policy_of(COSIGNERS))
    harness = EnclaveHarness(said.tax, tmp_path)
    harness.load({"firms": tax_csv(said.world)})
    for serial in (*FIRMS, 9):
        said.consent(serial)
    harness.follow()
    yield Watched(said, harness)
    harness.close()


def test_nothing_is_answered_before_two_of_three_witnesses_cosigned(watched: Watched) -> None:
    assert watched.reason() is Reason.NOT_WITNESSED
    for too_few in ((), (0,), (2,)):
        watched.deliver(*too_few)
        assert watched.reason() is Reason.NOT_WITNESSED
    watched.deliver(0, 2)
    assert watched.truth() is Truth.YES


def test_words_that_grow_old_are_no_words(watched: Watched) -> None:
    watched.deliver(0, 1)
    watched.pass_time(40)
    assert watched.truth() is Truth.YES
    watched.pass_time(40)
    assert watched.reason() is Reason.NOT_WITNESSED
    watched.deliver(1, 2)
    assert watched.truth() is Truth.YES
    watched.deliver(1, 2, ago=AGE)
    assert watched.truth() is Truth.YES  # an older word takes nothing away


def test_words_dated_ahead_do_not_last_longer(watched: Watched) -> None:
    watched.deliver(0, 1, ago=-31)
    assert watched.reason() is Reason.NOT_WITNESSED


def test_a_revocation_in_the_public_log_that_is_kept_from_the_enclave_stops_its_answers(
    watched: Watched,
) -> None:
    """The server goes on with a log of its own for the enclave, in which nothing was revoked."""
    watched.deliver(0, 1, 2)
    assert watched.truth() is Truth.YES
    watched.enclave.follow()
    # The public log, which the witnesses see, goes on with the revocation.
    world, own = watched.world, watched.world.ledger
    public = own.copy()
    public.append(b"the revocation")
    # The enclave's goes on without.
    own.append(b"something else")
    watched.enclave.follow()
    assert watched.truth() is Truth.YES  # for as long as the witnesses' last word is young
    world.clock.advance(20)
    note = watched.cosigned(0, 1, 2, ledger=public)
    # Whatever is brought with it, the enclave's log does not begin with what they cosigned.
    for joined in ((), own.consistency(public.size - 1)):
        lie = replace(watched.delivery(note), cosigned_consistency=joined)
        with pytest.raises(SafeRoomError) as refused:
            watched.enclave.enclave.deliver(lie)
        assert refused.value.reason is Reason.BAD_PROOF
    # And no honest witness cosigns the enclave's.
    with pytest.raises(SafeRoomError):
        watched.cosigned(0)
    watched.pass_time(60)
    assert watched.reason() is Reason.NOT_WITNESSED


def test_a_log_that_is_stopped_for_the_enclave_alone_stops_its_answers(watched: Watched) -> None:
    """The server shows the enclave the old head for ever, under ever new nonces."""
    watched.enclave.follow()
    old = watched.cosigned(0, 1, 2)
    size = watched.world.ledger.size
    watched.enclave.enclave.deliver(watched.delivery(old))
    assert watched.truth() is Truth.YES
    watched.enclave.follow()
    # The witnesses see the log grow, and cosign only the largest they have seen.
    watched.world.clock.advance(10)
    watched.world.ledger.append(b"the revocation")
    watched.cosigned(0, 1, 2)
    for _ in range(4):
        watched.world.clock.advance(20)
        watched.enclave.enclave.deliver(watched.delivery(old, size))
    assert watched.reason() is Reason.NOT_WITNESSED


def test_witnesses_that_are_kept_at_an_old_log_stop_the_answers(watched: Watched) -> None:
    """The server shows witnesses nothing newer: they cosign what both its logs begin with."""
    watched.deliver(0, 1, 2)
    stopped = watched.world.ledger.copy()
    watched.enclave.follow()
    watched.world.ledger.append(b"what the enclave alone is shown")
    for _ in range(AGE // 20 + 1):
        watched.stay_at(stopped)
        assert watched.truth() is Truth.YES
    watched.stay_at(stopped)
    assert watched.reason() is Reason.NOT_WITNESSED
    # Once they see the rest, it is answered again.
    watched.deliver(0, 2)
    assert watched.truth() is Truth.YES


def test_a_log_that_grows_slowly_behind_the_witnesses_stops_the_answers_too(
    watched: Watched,
) -> None:
    """Words come, each on a little more, and always on less than the enclave went by an age ago."""
    logs: list[SimLedger] = []
    watched.deliver(0, 1)
    for _ in range(5):
        watched.world.ledger.append(b"more")
        logs.append(watched.world.ledger.copy())
        watched.stay_at(logs[0])
    for log in logs[:-1]:
        watched.stay_at(log)
        assert watched.reason() is Reason.NOT_WITNESSED
    watched.deliver(0, 1)
    assert watched.truth() is Truth.YES


def test_an_enclave_that_is_started_anew_still_counts_since_when(watched: Watched) -> None:
    watched.deliver(0, 1, 2)
    stopped = watched.world.ledger.copy()
    watched.enclave.follow()
    for _ in range(4):
        watched.world.ledger.append(b"more")
        watched.stay_at(stopped)
        watched.enclave.restart(follow=False)
    watched.stay_at(stopped)
    assert watched.reason() is Reason.NOT_WITNESSED
    watched.deliver(0, 1)
    assert watched.truth() is Truth.YES


def test_what_only_replaced_witnesses_saw_is_not_seen(watched: Watched) -> None:
    """Witnesses that lie cosigned a log of the enclave's own; their owner names others instead."""
    watched.deliver(0, 1, 2)
    public = watched.world.ledger.copy()  # goes on with a revocation that the enclave's log lacks
    watched.world.ledger.append(b"what the enclave alone is shown")
    watched.deliver(0, 1, 2)
    assert watched.truth() is Truth.YES
    watched.said.tax.adopt(witnesses=policy_of(OTHERS))
    watched.deliver(0, 1, 2)  # the liars saw the new charter's entry, too
    watched.witnesses = [HonestWitness(each) for each in OTHERS]
    watched.enclave.unlock()
    # The enclave's log rests from here on: nothing in it is new.
    watched.deliver_on(public)
    assert watched.reason() is Reason.NOT_WITNESSED
    # Once the others have seen it, too, only the rules on approvals stand in the way.
    watched.deliver(0, 1)
    assert watched.enclave.ask(watched.said.question()).reason is Reason.NOT_APPROVED


def test_a_word_on_less_than_an_enclave_begins_with_is_none(watched: Watched) -> None:
    """It runs for the first time, or anew, and witnesses are shown an empty log, or an old one."""
    world = watched.world
    watched.deliver_on(SimLedger(world.room, world.ledger.key, world.seeds))
    assert watched.reason() is Reason.NOT_WITNESSED
    old = world.ledger.copy()
    world.ledger.append(b"what the enclave alone is shown")
    watched.deliver(0, 1, 2)
    assert watched.truth() is Truth.YES
    watched.enclave.follow()
    watched.enclave.restart()
    watched.witnesses = [HonestWitness(each) for each in COSIGNERS]
    watched.deliver_on(old)
    assert watched.reason() is Reason.NOT_WITNESSED
    watched.deliver(0, 1, 2)
    assert watched.truth() is Truth.YES


def test_witnesses_that_stay_close_behind_a_busy_log_are_enough(watched: Watched) -> None:
    watched.deliver(0, 1)
    before = watched.world.ledger.copy()
    for _ in range(12):
        behind, before = before, watched.world.ledger.copy()
        watched.stay_at(behind, 1, 2)
        assert watched.truth() is Truth.YES


def test_a_head_behind_what_was_cosigned_is_refused(watched: Watched) -> None:
    """An enclave is shown an old head beside a fresh word on a newer one."""
    made = watched.enclave.delivery()
    watched.world.ledger.append(b"the revocation")
    lie = replace(made, cosigned=watched.cosigned(0, 1, 2))
    with pytest.raises(SafeRoomError) as refused:
        watched.enclave.enclave.deliver(lie)
    assert refused.value.reason is Reason.BAD_PROOF


def test_a_forged_word_of_a_witness_is_refused(watched: Watched) -> None:
    note = watched.cosigned(0, 1)
    forged = note[:-10] + ("A" if note[-10] != "A" else "B") + note[-9:]
    with pytest.raises(SafeRoomError) as refused:
        watched.enclave.enclave.deliver(watched.delivery(forged))
    assert refused.value.reason is Reason.BAD_SIGNATURE
    assert watched.reason() is Reason.NOT_WITNESSED


def test_a_statement_is_taken_without_the_witnesses_and_counts_at_once(watched: Watched) -> None:
    """What restricts does not wait for cosignatures."""
    watched.deliver(0, 1)
    watched.world.clock.advance(1)
    watched.said.tax.withdraw(watched.said.steady.template)
    watched.enclave.follow()
    assert watched.enclave.ask(watched.said.question()).reason is Reason.NOT_APPROVED


def test_a_room_without_witnesses_in_its_charter_works_as_before(tmp_path: Path) -> None:
    said = sample()
    harness = EnclaveHarness(said.tax, tmp_path)
    harness.load({"firms": tax_csv(said.world)})
    said.consent(1)
    harness.follow()
    assert harness.ask(said.question()).truth is Truth.YES
    harness.close()
