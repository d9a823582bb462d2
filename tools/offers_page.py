"""The page docs/features.md: the features and checks that the catalogue offers."""

from __future__ import annotations

from typing import Final

from saferoom_client.records.annex import Catalogue
from saferoom_client.records.offers import OfferedCheck, OfferedFeature, Offers
from saferoom_proto.statements.feature import FeatureKind

_HEAD: Final = """# Features and checks to take

<!-- Written by tools/annex.py from features.yaml and checks.yaml in
     clients/saferoom_client/records/. -->

{features} features over all {types} information types of [the catalogue](catalogue.md), and
{checks} checks that banks ask over them. They are drafts, and bind nobody: an owner takes a
feature, tries it, sets its grid by its own records, and signs it; a bank takes a check, names the
room's owners in it, and proposes it; approvers see what it lets out, as of any other.

```sh
saferoom catalogue features 3.1 3.5 --out drafts --as-of 2026-06-30
cat drafts/tax_normal_months.yaml
saferoom catalogue checks tax-loan --owner tax=provincial_tax --out drafts
cat drafts/tax-loan.yaml
# prints: wrote drafts/tax_grade.yaml
# prints: continuous_normal_months
# prints: wrote drafts/tax-loan.yaml
# prints: provincial_tax.tax_vat_paid_12m
```

Then `saferoom feature try drafts/tax_grade.yaml` and `feature add` ([for data owners](owners.md),
section 3), and `saferoom template propose drafts/tax-loan.yaml` ([for banks](banks.md)). A
feature reads tables as `saferoom schema draft` makes them of its type. Records of level 4 (single
invoices, payments and bills) are read by none of them, but counted: from sums over them the plan
has types of their own (3.5, 4.2, 12.1 to 12.3).

## Features

May be asked: thresholds; classes; a flag has none. *stated* tells only whether a value that the
asker was given is the one held. Where a store's silence means no, the lowest cell is that of
firms it does not know; of the others such a firm is unknown.

"""
_CHECKS: Final = """
## Checks

What stands before the dot is whoever keeps that store in a room. A parameter ranges over its
feature's thresholds, classes or stated values.

"""


def offers_page(offers: Offers, catalogue: Catalogue) -> str:
    """Write the page."""
    lines = [
        _HEAD.format(
            features=len(offers.features), types=len(catalogue.types), checks=len(offers.checks)
        ),
        "| feature | | type | level | may be asked | silence | family |\n",
        "|---|---|---|---|---|---|---|\n",
        *map(_feature, offers.features.values()),
        _CHECKS,
        "| check | | asks | for |\n",
        "|---|---|---|---|\n",
        *map(_check, offers.checks.values()),
    ]
    return "".join(lines)


def _feature(one: OfferedFeature) -> str:
    asked = {FeatureKind.FLAG: "", FeatureKind.STATED: "*stated*"}
    at = asked.get(one.kind, ", ".join(one.at))
    unit = f" {one.unit}" if one.unit and at else ""
    silence = "no" if one.absent == "false" else "unknown"
    titles = f"{one.zh} ({one.en})"
    return (
        f"| `{one.name}` | {titles} | {', '.join(one.types)} | {one.level} | {at}{unit} |"
        f" {silence} | {one.family} |\n"
    )


def _check(one: OfferedCheck) -> str:
    purposes = ", ".join(one.purposes)
    return f"| `{one.name}` | {one.zh} ({one.en}) | `{one.check}` | {purposes} |\n"
