"""A room without a server: owners, banks, subjects, statements and a real ledger, all in memory."""

from __future__ import annotations

from simulator.bank import SimBank
from simulator.clock import START, Clock, SimClock
from simulator.harness import EnclaveHarness, Verdict
from simulator.issuer import SimIssuer
from simulator.ledger import SimLedger
from simulator.owner import APPROVERS, SimOwner
from simulator.sample import FEATURES, FIRMS, Approved, Firm, Sample, court_csv, sample, tax_csv
from simulator.seeds import Seeds
from simulator.subject import SimSubject
from simulator.world import ROOM, SimStream, World

__all__ = [
    "APPROVERS",
    "FEATURES",
    "FIRMS",
    "ROOM",
    "START",
    "Approved",
    "Clock",
    "EnclaveHarness",
    "Firm",
    "Sample",
    "Seeds",
    "SimBank",
    "SimClock",
    "SimIssuer",
    "SimLedger",
    "SimOwner",
    "SimStream",
    "SimSubject",
    "Verdict",
    "World",
    "court_csv",
    "sample",
    "tax_csv",
]
