"""A job of several owners ends at all of them, whoever was down; with real enclaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from saferoom.archive import Archive
from saferoom.checks import Checks
from saferoom.evidence import Caller, Role
from saferoom.exchange import OutboxEntry
from saferoom.jobs import owners as job_owners
from saferoom.jobs.desk import Jobs
from saferoom.jobs.fits import FitEnds
from saferoom.jobs.owners import JobOwners
from saferoom.jobs.words import Enclaves as Links
from saferoom.jobs.words import JobWords
from saferoom.limits import Limits
from saferoom.refusals import Refusals
from saferoom.register import Held, Register
from saferoom_enclaves.jobs.peers import Papers
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import Identity, IdentityKind
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobAdmission,
    JobOutcome,
    JobRelease,
    Template,
    load,
    seal_statement,
)
from simulator.job import JobRoom, LabelSideOfJob
from simulator.owners_job import OwnersRoom, Place, two_owners
from tests.server.room.opened import until
from tests.server.test_job_carried import SIDES, Enclaves, Line, Near, through_the_room


@dataclass(frozen=True)
class Said:
    """A recorded word, with the faces that the room's archive and notary give it."""

    envelope: Envelope
    owner: str
    institution: str

    @property
    def release(self) -> Said:
        """The word, of an answer."""
        return self

    @property
    def statement(self) -> Envelope:
        """The word, as it was recorded."""
        return self.envelope


@dataclass
class Log:
    """What is recorded: the archive, the words on jobs, and the register of the one template."""

    room: OwnersRoom
    enclaves: Enclaves
    recorded: list[Envelope] = field(default_factory=list[Envelope])

    def template(self, digest: str) -> Held[Template]:
        """Give the one that there is."""
        assert digest == self.room.template.digest
        return Held(self.room.template, load(self.room.template, Template))

    async def of_kinds(self, kinds: Sequence[str]) -> tuple[Envelope, ...]:
        """Give the words on jobs."""
        assert set(kinds) >= {JobAdmission.KIND, JobRelease.KIND}
        return tuple(self.recorded)

    async def find(self, digest: str) -> Said | None:
        """Find a word, or an endorsement."""
        endorsed = [each.room.enclave.endorsed for each in self.enclaves.by_owner.values()]
        recorded = [*self.recorded, *(each for each in endorsed if each is not None)]
        found = (Said(each, "", "") for each in recorded if each.digest == digest)
        return next(found, None)

    async def answers(self, job: str) -> list[Said]:
        """Give the admissions of a job."""
        words = [load(each, JobAdmission) for each in self.recorded]
        return [
            Said(each, word.owner, word.institution)
            for each, word in zip(self.recorded, words, strict=True)
            if word.request == job
        ]

    async def ended(self, owner: str, job: str, entry: OutboxEntry) -> Said:
        """Record a last word, with the order that it names."""
        word = load(entry.statement, JobRelease)
        assert (word.owner, word.request) == (owner, job)
        self.recorded += [each for each in (entry.order, entry.statement) if each is not None]
        return Said(entry.statement, owner, word.institution)

    async def last(self, owner: str, digest: str) -> Envelope | None:
        """Find a last word in an enclave's chain, and record it."""
        jobs = self.enclaves.by_owner[owner].room.enclave.enclave.jobs
        words = [jobs.word(record) for record in jobs.newest()]
        said = [word.entry.statement for word in words if word is not None]
        (found,) = [each for each in said if each.digest == digest]
        if found not in self.recorded:
            self.recorded.append(found)
        return found

    def began(self, room: JobRoom, request: Envelope) -> None:
        """Have an enclave let a job begin."""
        self.recorded.append(room.enclave.enclave.jobs.begin(request).entry.statement)

    def owners(self) -> JobOwners:
        """Give what carries between the enclaves, as at a start of the room."""
        archive, words = cast("Archive", self), cast("JobWords", self)
        return JobOwners(cast("Links", self.enclaves), cast("Register", self), archive, words)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a room with two owners' firms."""
    with two_owners(tmp_path_factory.mktemp("owners"), "ends") as made:
        yield made


def in_the_room(place: Place, name: str) -> tuple[Log, LabelSideOfJob]:
    room, enclaves = through_the_room(place, name)
    return Log(room, enclaves), room.label_side()


async def idle(owners: JobOwners) -> None:
    """Wait until no job is looked after."""

    async def all_is_over() -> bool:
        return not owners._looking

    await until(all_is_over)


async def test_an_owner_that_was_down_when_a_job_ended_hears_it_when_it_is_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_owners, "LOOK_SECONDS", 0.01)
    log, side = in_the_room(place, "ends-late")
    request, court = side.request(), log.room.court
    log.began(court, request)
    log.began(log.room, request)
    log.enclaves.down = {"court"}
    log.room.said.tax.withdraw(log.room.template)
    log.room.enclave.follow()
    # A room that was started anew has nothing but its log.
    owners = log.owners()
    await owners.take_up()
    looked = set[str]()
    serving = log.enclaves.serving

    def seen(owner: str) -> Near:
        looked.add(owner)
        return serving(owner)

    monkeypatch.setattr(log.enclaves, "serving", seen)

    async def court_was_asked() -> bool:
        return "court" in looked

    await until(court_was_asked)
    assert court.enclave.enclave.jobs.stands(side.job).ended is None
    log.enclaves.down = set()
    await idle(owners)
    ended = court.enclave.enclave.jobs.stands(side.job)
    assert (ended.outcome, ended.reason) == (JobOutcome.CANCELLED, Reason.NOT_APPROVED)
    assert load(log.recorded[-1], JobRelease).owner == "court"
    # It has ended at all owners: the next start looks after nothing.
    again = log.owners()
    await again.take_up()
    assert not again._looking


async def test_a_job_that_its_host_never_let_begin_is_cancelled_where_it_began(
    place: Place,
) -> None:
    log, side = in_the_room(place, "givers-only")
    log.began(log.room.court, side.request())
    owners = log.owners()
    await owners.take_up()
    assert not owners._looking, "it waits for its host, and has not ended anywhere"
    jobs = Jobs(
        checks=cast("Checks", None),
        enclaves=cast("Links", log.enclaves),
        register=cast("Register", log),
        words=cast("JobWords", log),
        owners=owners,
        archive=cast("Archive", log),
        refusals=cast("Refusals", None),
        limits=Limits(1, 1),
        fits=cast("FitEnds", None),
    )
    bank = Identity(IdentityKind.ORGANISATION, side.bank.name, "desk", "")
    caller, cancel = Caller(bank, frozenset({Role.INSTITUTION})), side.cancel()
    # While the host is down nobody knows whether it has begun there.
    log.enclaves.down = {"tax"}
    with pytest.raises(SafeRoomError) as refused:
        await jobs.cancel(caller, cancel)
    assert refused.value.reason is Reason.UNAVAILABLE
    log.enclaves.down = set()
    word = load((await jobs.cancel(caller, cancel)).statement, JobRelease)
    assert (word.owner, word.outcome) == ("court", JobOutcome.CANCELLED)
    assert word.cancel == cancel.digest
    assert log.room.court.enclave.enclave.jobs.stands(side.job).ended is not None
    await owners.close()


async def test_a_giver_that_was_down_when_there_was_a_model_says_so_when_it_is_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_owners, "LOOK_SECONDS", 0.01)
    log, side = in_the_room(place, "model-late")
    court = log.room.court
    side.submit(rounds=1)
    said = await Line(log.enclaves, side).through()
    assert said is not None
    assert said.outcome is JobOutcome.RELEASED
    # The room is killed before it records anything; the court's enclave, too.
    court.kill()
    assert court.enclave.enclave.jobs.stands(side.job).ended is None
    owners = log.owners()
    owners.look_after(SIDES, side.job)
    await idle(owners)
    words = [load(each, JobRelease) for each in log.recorded]
    assert [(each.owner, each.outcome) for each in words] == [
        ("tax", JobOutcome.RELEASED),
        ("court", JobOutcome.RELEASED),
    ]
    assert words[0].model != words[1].model
    assert list(court.model(side.job)) == ["court.dishonest"]
    assert court.left(side.job) == []


async def test_that_there_is_a_model_counts_from_the_host_alone_and_with_its_part(
    place: Place,
) -> None:
    log, trained = in_the_room(place, "host-alone")
    jobs, other = log.room, log.room.label_side()
    trained.submit(rounds=1)
    said = await trained.take_part()
    assert said is not None
    other.submit(rounds=1)
    await other.take_part(most=2)
    host, court = jobs.enclave, jobs.court.enclave
    assert host.endorsed is not None
    assert court.endorsed is not None
    word = said.model_copy(update={"request": other.job})
    of_court = {"owner": "court", "endorsement": court.endorsed.digest}
    # The host says so, and no part came to the court; the court says so itself.
    for told_to, papers_of_it, word_told, key in (
        (court, Papers("tax", host.endorsed), word, host.keys.identity),
        (
            host,
            Papers("court", court.endorsed),
            word.model_copy(update=of_court),
            court.keys.identity,
        ),
    ):
        jobs_there = told_to.enclave.jobs
        with pytest.raises(SafeRoomError) as refused:
            jobs_there.end_as(papers_of_it, seal_statement(word_told, key))
        assert refused.value.reason is Reason.CONFLICT
        assert jobs_there.stands(other.job).ended is None
