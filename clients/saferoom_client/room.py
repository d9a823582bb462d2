"""The room for programs without an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import cache, wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from saferoom_client import (
    agreements,
    batches,
    challenge,
    checks,
    consent_requests,
    consents,
    costs,
    disputes,
    federations,
    handovers,
    holdings,
    jobs,
    loading,
    log,
    members,
    owners,
    receipt_witness,
    recovery,
    root_handovers,
    score_batches,
    scores,
    stats,
    stores,
    sums,
    templates,
    usage,
    use_receipts,
    uses,
    versions,
)
from saferoom_client.aio import AsyncRoom
from saferoom_client.audit import run
from saferoom_client.fits import asking as fits
from saferoom_client.fits import cancelling, prices
from saferoom_client.profile import Profile
from saferoom_client.report import asking, listing
from saferoom_client.session import DEADLINE_SECONDS, Clock, Session, utc_now

P = ParamSpec("P")
R = TypeVar("R")


_starting: Final = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """Give the rooms' own event loop, started with the first room."""
    with _starting:
        return _started_loop()


@cache
def _started_loop() -> asyncio.AbstractEventLoop:
    """Start the one thread in which all rooms of this process wait for the network.

    One for all, because gRPC's asyncio serves several event loops of a process badly.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="saferoom", daemon=True).start()
    return loop


def _wait(work: Coroutine[object, object, R]) -> R:
    """Wait for work in the rooms' thread; an interrupt here cancels it there."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _waiting(
    method: Callable[Concatenate[Session, P], Coroutine[object, object, R]],
) -> Callable[Concatenate[Room, P], R]:
    """Make of a call that is awaited one that waits."""

    @wraps(method)
    def call(room: Room, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return _wait(method(room.session, *args, **kwargs))

    return call


class Room:
    """A member's room: `with Room.open(folder) as room: answer = room.check(...)`.

    May be shared between threads. Each method is described where it is defined; `AsyncRoom` has the
    same ones.

    Args:
        profile: the member.
        clock: gives the present instant.
        deadline_seconds: how long a call may take, its retries included.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Clock = utc_now,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.session: Final = _wait(_open(profile, clock, deadline_seconds))

    @classmethod
    def open(cls, folder: str | Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> Self:
        """Open a member's folder; the connection is made with the first call.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming what is wrong in the folder.
        """
        return cls(Profile.load(Path(folder)), deadline_seconds=deadline_seconds)

    @property
    def profile(self) -> Profile:
        """The member."""
        return self.session.profile

    def pin(self, owner: str, root: str) -> None:
        """Pin an owner's charter root in the member's folder."""
        self.session.pin(owner, root)

    def close(self) -> None:
        """End the connection."""
        _wait(self.session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Who is in the room.
    describe = _waiting(members.describe)
    follow = _waiting(handovers.follow)
    whoami = _waiting(members.whoami)
    enrol_organisation = _waiting(members.enrol_organisation)
    list_organisations = _waiting(members.list_organisations)
    revoke_organisation = _waiting(members.revoke_organisation)
    list_certificates = _waiting(members.list_certificates)
    revoke_certificate = _waiting(members.revoke_certificate)

    # Data owners.
    put_charter = _waiting(owners.put_charter)
    get_charter = _waiting(owners.get_charter)
    draft_root_handover = _waiting(root_handovers.draft_root_handover)
    hand_over_root = _waiting(root_handovers.hand_over_root)
    follow_root = _waiting(root_handovers.follow_root)
    get_endorsement = _waiting(owners.get_endorsement)
    put_schema = _waiting(owners.put_schema)
    get_schema = _waiting(owners.get_schema)
    put_feature = _waiting(owners.put_feature)
    add_feature = _waiting(owners.add_feature)
    try_feature = _waiting(owners.try_feature)
    list_features = _waiting(owners.list_features)
    pause = _waiting(owners.pause)
    resume = _waiting(owners.resume)
    stopped_uses = _waiting(owners.stopped_uses)
    get_evidence = _waiting(challenge.get_evidence)
    enclave_chain = _waiting(recovery.enclave_chain)
    recover_enclave = _waiting(recovery.recover_enclave)
    load_data = _waiting(loading.load_data)
    list_versions = _waiting(versions.list_versions)
    roll_back = _waiting(versions.roll_back)

    # Templates and agreements.
    propose_template = _waiting(templates.propose_template)
    get_template = _waiting(templates.get_template)
    list_templates = _waiting(templates.list_templates)
    survey_templates = _waiting(templates.survey_templates)
    approve = _waiting(templates.approve)
    refuse = _waiting(templates.refuse)
    withdraw = _waiting(templates.withdraw)
    changes_since_approval = _waiting(templates.changes_since_approval)
    put_agreement = _waiting(agreements.put_agreement)
    missing_signatures = _waiting(agreements.missing_signatures)
    end_agreement = _waiting(agreements.end_agreement)
    list_agreements = _waiting(agreements.list_agreements)

    # Subjects.
    grant_consent = _waiting(consents.grant_consent)
    revoke_consent = _waiting(consents.revoke_consent)
    list_consents = _waiting(consents.list_consents)
    request_consent = _waiting(consent_requests.request_consent)
    list_consent_requests = _waiting(consent_requests.list_consent_requests)
    get_consent_request = _waiting(consent_requests.get_consent_request)
    get_holdings = _waiting(holdings.get_holdings)
    open_dispute = _waiting(disputes.open_dispute)
    list_disputes = _waiting(disputes.list_disputes)
    answer_dispute = _waiting(disputes.answer_dispute)
    withdraw_dispute = _waiting(disputes.withdraw_dispute)

    # Institutions.
    check = _waiting(checks.check)
    prepare = _waiting(checks.prepare)
    ask = _waiting(checks.ask)
    get_check = _waiting(checks.get_check)
    check_many = _waiting(batches.check_many)
    prepare_many = _waiting(batches.prepare_many)
    ask_many = _waiting(batches.ask_many)
    row_receipt = _waiting(batches.row_receipt)
    tabulate = _waiting(stats.tabulate)
    expect_tables = _waiting(stats.expect_tables)
    price_tables = _waiting(stats.price_tables)
    add_up = _waiting(sums.add_up)
    price_sum = _waiting(sums.price_sum)
    ask_report = _waiting(asking.ask_report)
    ask_list = _waiting(listing.ask_list)
    list_stores = _waiting(stores.list_stores)
    cost = _waiting(costs.cost)
    price = _waiting(costs.price)
    score = _waiting(scores.score)
    score_many = _waiting(score_batches.score_many)
    ask_scores = _waiting(score_batches.ask_scores)
    train_in_room = _waiting(fits.train_in_room)
    prepare_fit = _waiting(fits.prepare_fit)
    ask_fit = _waiting(fits.ask_fit)
    take_up_fit = _waiting(fits.take_up_fit)
    cancel_fit = _waiting(cancelling.cancel_fit)
    price_fit = _waiting(prices.price_fit)
    submit_job = _waiting(jobs.submit_job)
    take_part = _waiting(jobs.take_part)
    list_jobs = _waiting(jobs.list_jobs)
    watch_job = _waiting(jobs.watch_job)
    cancel_job = _waiting(jobs.cancel_job)
    propose_federation = _waiting(federations.propose_federation)
    show_federation = _waiting(federations.show_federation)
    join_federation = _waiting(federations.join_federation)
    train_federation = _waiting(federations.train_federation)
    score_federation = _waiting(federations.score_federation)
    end_federation = _waiting(federations.end_federation)
    list_federations = _waiting(federations.list_federations)

    # What was asked, shown to those it concerns.
    list_uses = _waiting(uses.list_uses)
    get_usage = _waiting(usage.get_usage)
    use_receipt = _waiting(use_receipts.use_receipt)
    template_of = _waiting(use_receipts.template_of)
    witness_receipt = _waiting(receipt_witness.witness_receipt)

    # The log.
    checkpoint = _waiting(log.checkpoint)
    entries = _waiting(log.entries)
    verify_log = _waiting(log.verify_log)
    audit_log = _waiting(run.audit_log)


async def _open(profile: Profile, clock: Clock, deadline_seconds: float) -> AsyncRoom:
    """Make the session in the rooms' own loop, to which its channel then belongs."""
    return AsyncRoom(profile, clock=clock, deadline_seconds=deadline_seconds)
