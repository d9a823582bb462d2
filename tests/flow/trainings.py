"""A flag to be foretold, and trainings that a bank of the live room proposes and owners approve."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from saferoom_proto.encoding import b64
from saferoom_proto.statements import (
    Absent,
    Bounds,
    Feature,
    FeatureKind,
    Figure,
    Fit,
    Purpose,
    Runs,
    Template,
    Training,
    TrainingMethod,
)
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, VAT, feature, title

LATE: Final = "tax.late"
OF_TWO: Final = {
    "algorithm": "logistic-1",
    "features": [COURT, VAT],
    "label": LATE,
    "inverse_ridge": {"least": "0.01", "most": "1"},
    "least_rows": 1000,
    "least_events": 60,
    "releases": ["rows", "auc", "ks", "weights", "bands"],
    "runs": {"most": 20, "days": 30},
    "bands": {"epsilon": "1", "cap": "20"},
}
"""A training in the room over both owners' columns, hosted by the tax office."""


def late(of_paid: str) -> Feature:
    """Define who was late by what a firm paid, a condition of SQL on `paid`."""
    return feature(
        {
            "owner": "tax",
            "name": "late",
            "title": title("Was late"),
            "level": 3,
            "family": "turnover",
            "sql": f"SELECT uscc AS subject, {of_paid} AS value FROM vat",
            "kind": FeatureKind.FLAG,
            "absent": Absent.FALSE,
            "budget_bits": Decimal(1),
        }
    )


def fit_of(fields: Mapping[str, object]) -> Fit:
    """Read a training in the room as it stands in a template."""
    return Fit.model_validate(fields, strict=False)


def joint(features: tuple[str, ...], columns: int, host: str | None = None) -> Training:
    """Say what a joint training is of: owners' features, and so many columns of the bank's."""
    return Training(
        algorithm=TrainingMethod.VERTICAL_LOGISTIC,
        features=features,
        host=host,
        label=title("default"),
        label_columns=columns,
        inverse_ridge=Bounds(least=Decimal("0.01"), most=Decimal(1)),
        rounds=20,
        least_rows=1000,
        least_events=50,
        releases=(Figure.ROWS, Figure.ROUNDS, Figure.CONVERGENCE),
        runs=Runs(most=10, days=30),
    )


def hold(live: LiveRoom, firms: int, missing: int = 100) -> None:
    """Have the tax office load so many firms, the court all but some, and both agree with a bank.

    Who of them was late is a feature of the tax office, too.
    """
    with live.open("tax", "li") as office:
        office.put_feature(late("paid < 20000 OR paid % 9000 < 1500"))
    paid = "".join(f"{make_uscc(n)},{1000 * (n % 97)}\n" for n in range(firms))
    listed = "".join(f"{make_uscc(n)},{str(n % 7 == 0).lower()},\n" for n in range(firms - missing))
    for owner, table, rows in (
        ("tax", "vat", "uscc,paid\n" + paid),
        ("court", "cases", "uscc,listed,case_no\n" + listed),
    ):
        (path := live.folder / f"{table}.csv").write_text(rows, "utf-8")
        with live.open(owner, "li") as office:
            report = office.load_data(live.schemas[owner], {table: path})
        assert not report.bad_row_count, report.bad_rows
        live.agree(owner, "bank-a")


def have_approved(live: LiveRoom, name: str, asked: Fit | Training) -> None:
    """Have the bank propose a training, and every owner approve it."""
    fit, training = (asked, None) if isinstance(asked, Fit) else (None, asked)
    with live.open("bank-a", "desk") as bank:
        template = Template(
            room=bank.profile.card.origin,
            kind="Training" if fit is None else "Fit",
            name=name,
            title=title(name),
            proposer="bank-a",
            signer=b64(bank.profile.signing_certificate),
            purposes=(Purpose.PRODUCT_DESIGN,),
            fit=fit,
            training=training,
        )
        digest = bank.propose_template(template).recorded.statement.digest
    live.approve(digest)
