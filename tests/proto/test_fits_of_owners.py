"""What is refused of a training over several owners' columns when it is proposed, and what not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from saferoom_proto.certificate import derive_certificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import seal_statement
from tests.proto.golden_fits import certificate_of_two, fit_of_two, fit_template, pinned
from tests.proto.golden_seeds import digest, key

TWO = ("court.listed", "tax.vat")
TREES = {"algorithm": "boosting-1", "inverse_ridge": None, "trees": 10, "leaves": 7}


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({**TREES, "features": TWO, "releases": ("auc",)}, "for logistic-1 alone, so far"),
        ({"features": ("court.listed",)}, "the label's owner, who hosts, has one of the features"),
        ({"features": (*tuple(f"o{n}.a" for n in range(8)), "tax.vat")}, "at most 8 owners"),
    ],
)
def test_a_template_that_is_not_served_says_why(asked: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        fit_template(**asked)


def test_the_certificate_pins_every_owner_s_charter_and_cuts_its_columns() -> None:
    court, tax = certificate_of_two().parts
    assert (court.owner, court.charter) == ("court", digest("charter of court"))
    assert (tax.owner, tax.charter) == ("tax", digest("charter of tax"))
    assert court.fit is not None
    assert tax.fit is not None
    assert (court.fit.columns, court.fit.label) == (("court.listed",), "tax.late")
    assert tax.fit.columns == ("tax.vat", "tax.vat unknown")
    # A giver's part reads no label, and neither is a share.
    assert [use.feature for use in court.features] == ["court.listed"]
    assert [use.feature for use in tax.features] == ["tax.late", "tax.vat"]
    assert not court.shared
    assert not tax.shared
    with pytest.raises(SafeRoomError) as refused:
        derive_certificate(seal_statement(fit_of_two(), key("desk")), pinned(), {})
    assert refused.value.reason is Reason.BAD_CHARTER


def test_events_enough_are_asked_for_all_owners_columns_together() -> None:
    charters = {owner: digest(f"charter of {owner}") for owner in ("court", "tax")}
    many = fit_template(features=("court.listed", "tax.vat", "tax.rating"), least_events=60)
    with pytest.raises(SafeRoomError) as refused:
        derive_certificate(seal_statement(many, key("desk")), pinned(), charters)
    assert refused.value.reason is Reason.NOT_ALLOWED
    assert [fault.field for fault in refused.value.fields] == ["fit.least_events"]
