"""A room to train in: a tax office of some thousand firms, who also knows who came into arrears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.children.fit_jobs import ModelFitted
from saferoom_enclaves.jobs.kept import MODELS
from saferoom_enclaves.journal import Judged
from saferoom_proto.answer import SALT_BYTES, Told
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.fits import CARD_SEAL, ModelCard
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Absent,
    ColumnType,
    FeatureKind,
    Fit,
    FitRelease,
    FitRequest,
    JobCancel,
    Purpose,
    load,
    seal_statement,
)
from saferoom_proto.uscc import make_uscc
from simulator.bank import WINDOW, SimBank
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Approved, column, feature, ordered, schema, table
from simulator.world import World

ROWS: Final = 1600
FEATURES: Final = ("tax.paid", "tax.late", "tax.age")
LABEL: Final = "tax.arrears"
PURPOSES: Final = (Purpose.PRODUCT_DESIGN, Purpose.PRE_LOAN)


@dataclass(frozen=True, slots=True)
class Firms:
    """What the tax office holds: `paid` is not a number where it is unknown."""

    paid: NDArray[np.float64]
    late: NDArray[np.int64]
    age: NDArray[np.int64]
    arrears: NDArray[np.int64]

    def to_csv(self) -> bytes:
        """Write the tax office's table."""
        lines = ["uscc,paid,late,age,arrears"]
        for at in range(len(self.paid)):
            paid = "" if np.isnan(self.paid[at]) else f"{self.paid[at]:.2f}"
            flags = ["false", "true"]
            late, arrears = bool(self.late[at]), bool(self.arrears[at])
            fields = (paid, flags[late], f"{self.age[at]}", flags[arrears])
            lines.append(",".join((make_uscc(at + 1), *fields)))
        return "\n".join(lines).encode() + b"\n"


def firms(many: int = ROWS, seed: int = 1, *, rate: float = -1.0) -> Firms:
    """Make firms: those that pay little or late come into arrears."""
    draw = np.random.default_rng(seed)
    paid = draw.normal(size=many).round(2)
    late, age = (draw.random(many) < 0.3).astype(np.int64), draw.integers(0, 20, many)
    odds = rate - paid + 0.8 * late - 0.05 * age
    arrears = (draw.random(many) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    paid[draw.random(many) < 0.1] = np.nan
    return Firms(paid, late, age, arrears)


def asked(**changes: object) -> Fit:
    """Say what is trained; fields can be changed by name."""
    fields: dict[str, object] = {
        "algorithm": "logistic-1",
        "features": FEATURES,
        "label": LABEL,
        "inverse_ridge": {"least": "0.01", "most": "10"},
        "least_rows": 1000,
        "least_events": 80,
        "releases": ["rows", "auc", "ks"],
        "runs": {"most": 6, "days": 30},
    }
    return Fit.model_validate(fields | changes, strict=False)


def boosted(**changes: object) -> Fit:
    """Say the same of boosting."""
    trees: dict[str, object] = {"algorithm": "boosting-1", "inverse_ridge": None}
    return asked(**(trees | {"trees": 10, "leaves": 7} | changes))


@dataclass(frozen=True, slots=True)
class FitRoom:
    """The room, the tax office's enclave, and the banks."""

    world: World
    tax: SimOwner
    enclave: EnclaveHarness
    banks: tuple[SimBank, ...]

    @classmethod
    def make(
        cls,
        folder: Path,
        held: Firms | None = None,
        *,
        ready: tuple[str, ...] = ("saferoom_enclaves.fitting",),
    ) -> FitRoom:
        """Make the room; banks a and b are of one collusion group, c of its own."""
        world = World(0)
        tax = world.owner("tax")
        tax.publish_schema(
            schema(
                "tax",
                table(
                    "firms",
                    column("paid", ColumnType.DOUBLE, 3),
                    column("late", ColumnType.BOOLEAN, 2),
                    column("age", ColumnType.BIGINT, 2),
                    column("arrears", ColumnType.BOOLEAN, 2),
                ),
            )
        )
        select = "SELECT uscc AS subject, {} AS value FROM firms"
        flag = {"level": 2, "absent": Absent.FALSE}
        tax.define(ordered("tax", "paid", select.format("paid"), ("-1", "0", "1")))
        tax.define(ordered("tax", "age", select.format("age"), ("5", "10")))
        for name in ("late", "arrears"):
            tax.define(feature("tax", name, select.format(name), FeatureKind.FLAG, **flag))
        banks = tuple(world.bank(name) for name in ("bank-a", "bank-b", "bank-c"))
        for bank, group in zip(banks, ("ring", "ring", "alone"), strict=True):
            tax.agree(bank, PURPOSES, group)
        enclave = EnclaveHarness(tax, folder, ready=ready)
        room = cls(world, tax, enclave, banks)
        room.load(firms() if held is None else held)
        return room

    def load(self, held: Firms) -> None:
        """Have firms loaded, in the place of those before."""
        self.enclave.load({"firms": held.to_csv()})
        self.enclave.follow()

    @property
    def bank(self) -> SimBank:
        """The first bank."""
        return self.banks[0]

    def approved(self, fit: Fit, name: str = "arrears", bank: SimBank | None = None) -> Approved:
        """Have a training proposed and approved."""
        template, certificate = (bank or self.bank).fits(name, fit)
        self.tax.approve(template, certificate.digest)
        self.enclave.follow()
        return Approved(template, certificate)

    def request(self, of: Approved, bank: SimBank | None = None, **changes: object) -> Envelope:
        """Sign a request; fields can be changed by name."""
        by, now = bank or self.bank, self.world.now()
        fields: dict[str, object] = {
            "room": self.world.room,
            "institution": by.name,
            "template": of.template.digest,
            "certificate": of.certificate.digest,
            "purpose": Purpose.PRODUCT_DESIGN,
            "inverse_ridge": "1",
            "trees": None,
            "leaves": None,
            "nonce": b64(self.world.seeds.fresh(16)),
            "not_before": now,
            "not_after": now + WINDOW,
            "reply_key": b64(by.reply.public),
        }
        payload = FitRequest.model_validate(fields | changes, strict=False)
        return seal_statement(payload, by.key)

    def trees(self, of: Approved, bank: SimBank | None = None, **changes: object) -> Envelope:
        """Sign a request for boosting."""
        chosen: dict[str, object] = {"inverse_ridge": None, "trees": 10, "leaves": 7}
        return self.request(of, bank, **(chosen | changes))

    def cancel(self, request: Envelope, by: SimBank | None = None) -> Envelope:
        """Have a bank say that it ends a training."""
        bank = by or self.bank
        word = JobCancel(
            room=self.world.room,
            institution=bank.name,
            owner="tax",
            job=request.digest,
            why="other columns",
            at=self.world.now(),
        )
        return seal_statement(word, bank.key)

    def said(self, judged: Judged) -> FitRelease:
        """Give the enclave's word."""
        return load(judged.entry.statement, FitRelease)

    def bands(self, of: Approved, serials: Sequence[int]) -> list[Told | Reason | None]:
        """Ask for firms' scores, with their consent."""
        said = list[Told | Reason | None]()
        for serial in serials:
            self.world.subject(serial).give(self.bank, FEATURES)
            self.enclave.follow()
            subject = self.world.subject(serial)
            verdict = self.enclave.ask(self.bank.request(subject, of.template, of.certificate))
            said.append(verdict.told or verdict.reason)
        return said

    def kept(self, job: str) -> ModelFitted:
        """Give a model as the enclave keeps it."""
        state = self.enclave.enclave._require_open().state
        row = state.get(MODELS, state.cipher.find(MODELS, job))
        assert row is not None, "no model"
        return ModelFitted.model_validate_json(row.content[SALT_BYTES:])

    def card(self, request: Envelope, judged: Judged, bank: SimBank | None = None) -> ModelCard:
        """Open a card as who asked for it."""
        key = (bank or self.bank).reply
        return ModelCard.from_bytes(CARD_SEAL.open(judged.sealed, key, request.digest, "tax"))

    def ask(self, of: Approved, bank: SimBank | None = None, **changes: object) -> FitRelease:
        """Ask, and give the enclave's word."""
        return self.said(self.enclave.fit(self.request(of, bank, **changes)))


def numbers(held: Firms, places: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the columns that the features become, of some firms; not a number where unknown."""
    unknown = np.isnan(held.paid).astype(np.float64)
    known = np.zeros(len(held.paid))
    columns = (held.paid, unknown, held.late, held.age, known)
    return np.column_stack([np.asarray(each, np.float64)[places] for each in columns])
