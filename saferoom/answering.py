"""What answers institutions, built together: checks, prices, batches, jobs and tables.

They have one maker of `Approved` and one of the room's own refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import grpc

from saferoom.batches.desk import Batches
from saferoom.books import Books
from saferoom.checks import Checks
from saferoom.config import LimitsConfig
from saferoom.consents import Consents
from saferoom.costs import Costs
from saferoom.jobs.desk import Jobs
from saferoom.jobs.fits import FitEnds, FitsOfOwners
from saferoom.jobs.owners import JobOwners
from saferoom.jobs.words import JobWords
from saferoom.limits import Limits
from saferoom.links import Links
from saferoom.made import FITS, TABLES, Made, lists
from saferoom.refusals import Refusals
from saferoom.services.batch import BatchService
from saferoom.services.check import CheckService
from saferoom.services.job import JobService
from saferoom.services.table import TableService
from saferoom_proto.v1.batch_pb2_grpc import add_BatchServiceServicer_to_server as add_batch
from saferoom_proto.v1.check_pb2_grpc import add_CheckServiceServicer_to_server as add_check
from saferoom_proto.v1.job_pb2_grpc import add_JobServiceServicer_to_server as add_job
from saferoom_proto.v1.table_pb2_grpc import add_TableServiceServicer_to_server as add_table


class Drained(Protocol):
    """What has words under way that must be recorded before the room closes."""

    async def drain(self, seconds: float) -> None:
        """Wait until they are, and no longer than this."""
        ...


async def add_answering(
    server: grpc.aio.Server,
    books: Books,
    links: Links,
    refusals: Refusals,
    *,
    limits: LimitsConfig,
    clock: Callable[[], datetime],
) -> Sequence[Drained]:
    """Add what answers institutions to the server; gives what must be drained at the end."""
    checks = Checks(
        register=books.register,
        judges=links,
        notary=books.notary,
        archive=books.archive,
        refusals=refusals,
        clock=clock,
    )
    costs = Costs(checks=checks, judges=links, notary=books.notary, refusals=refusals)
    listed = Made(lists(books.archive), checks=checks, links=links, refusals=refusals)
    add_check(CheckService(checks, costs, Consents(books.archive), listed), server)
    batches = Batches(
        checks=checks,
        judges=links,
        refusals=refusals,
        limits=Limits(limits.batches, limits.batches_per_caller),
        idle_seconds=limits.load_idle_seconds,
    )
    add_batch(BatchService(batches), server)
    words = JobWords(links, books.notary, books.archive)
    owners = JobOwners(links, books.register, books.archive, words)
    await owners.take_up()
    several = FitsOfOwners(links, owners, words)
    fits = Made(FITS, checks=checks, links=links, refusals=refusals, several=several)
    jobs = Jobs(
        checks=checks,
        enclaves=links,
        register=books.register,
        words=words,
        owners=owners,
        archive=books.archive,
        refusals=refusals,
        limits=Limits(limits.batches, limits.batches_per_caller, "jobs"),
        fits=FitEnds(links, owners, fits.under_way),
    )
    add_job(JobService(jobs, fits), server)
    tables = Made(TABLES, checks=checks, links=links, refusals=refusals)
    add_table(TableService(tables), server)
    return checks, costs, batches, jobs, fits, tables, listed
