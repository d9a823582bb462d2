"""A template of joint training, and the release certificate that follows from it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from saferoom_proto.certificate import derive_certificate, features_named, owners_of
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature, Source, Template, Title, Training, seal_statement
from saferoom_proto.statements.feature import Absent, FeatureKind
from saferoom_proto.statements.training import columns_of
from tests.proto.golden_jobs import (
    certificate_of_two,
    training,
    training_certificate,
    training_of_two,
)
from tests.proto.golden_owners import definitions
from tests.proto.golden_seeds import digest, key


def defined(**changes: object) -> list[Feature]:
    features = [each for each in definitions().values() if isinstance(each, Feature)]
    return [each.model_copy(update=changes) for each in features]


def asking(**changes: object) -> Template:
    asked = training().training
    assert asked is not None
    altered = Training.model_validate(asked.model_dump() | changes)
    return training().model_copy(update={"training": altered})


def refused(template: Template, features: list[Feature]) -> Reason:
    pinned = pin(seal_statement(each, key("li")) for each in features)
    with pytest.raises(SafeRoomError) as error:
        derive_certificate(seal_statement(template, key("desk")), pinned)
    return error.value.reason


def test_its_certificate_names_every_column_and_counts_what_crosses() -> None:
    part = training_certificate().part("tax")
    assert part.training is not None
    assert part.training.columns[0] == "tax.vat"
    assert set(part.training.columns) >= {"tax.rating = good"}
    # 25 rounds: a sum for each of ten columns, the intercept and the labels; nine products.
    assert part.training.numbers == 25 * (12 + 9)
    assert (part.formula, part.answers, part.needs_consent, part.charged) == ("", 0, False, ())


def test_it_names_its_owner_and_its_features() -> None:
    assert owners_of(training()) == ("tax",)
    assert [str(ref) for ref in features_named(training())] == ["tax.rating", "tax.vat"]


def test_what_silence_means_decides_the_columns_and_never_the_records_do() -> None:
    by_name = {each.full_name: each for each in defined()}
    number = by_name["tax.vat"]
    assert number.kind is FeatureKind.ORDERED
    as_no = number.model_copy(update={"absent": Absent.FALSE})
    as_unknown = number.model_copy(update={"absent": Absent.UNKNOWN})
    assert columns_of(as_no) == ("tax.vat",)
    assert columns_of(as_unknown) == ("tax.vat", "tax.vat unknown")


def test_nothing_is_trained_on_level_4() -> None:
    assert refused(training(), defined(level=4)) is Reason.NOT_ALLOWED


def test_nothing_is_trained_on_what_a_provider_is_asked_for() -> None:
    """One owner's or several's, whoever is the host: refused before anybody could approve it."""
    source = Source(name="payments", days=7)
    fetched = [
        each.model_copy(update={"source": source, "prior": "Yearbook" if each.grid else None})
        for each in defined(level=3)
    ]
    assert refused(training(), fetched) is Reason.NOT_ALLOWED
    assert refused(training_of_two(), fetched) is Reason.NOT_ALLOWED


def test_a_feature_that_nobody_defined_is_named() -> None:
    assert refused(asking(features=("tax.nothing",)), defined()) is Reason.UNKNOWN_FEATURE


def test_a_training_of_two_owners_pins_the_charters_that_their_enclaves_rest_on() -> None:
    certificate = certificate_of_two()
    court, tax = certificate.parts
    assert (court.owner, court.charter) == ("court", digest("charter of court"))
    assert (tax.owner, tax.charter) == ("tax", digest("charter of tax"))
    assert court.training is not None
    assert tax.training is not None
    assert court.training.columns == ("court.listed",)
    assert (court.training.host, tax.training.host) == ("tax", "tax")
    assert court.training.numbers == tax.training.numbers


def test_without_a_charter_to_rest_on_there_is_no_certificate() -> None:
    assert refused(training_of_two(), defined()) is Reason.BAD_CHARTER


@pytest.mark.parametrize(
    ("features", "host"),
    [
        (("tax.vat", "court.listed"), None),
        (("tax.vat", "court.listed"), "water"),
        (("tax.vat",), "tax"),
        (tuple(f"owner-{at}.listed" for at in range(9)), "owner-1"),
    ],
)
def test_a_host_is_one_of_several_owners(features: tuple[str, ...], host: str | None) -> None:
    with pytest.raises(ValueError, match=r"host|at most 8 owners"):
        asking(features=features, host=host)


@pytest.mark.parametrize(
    "changes",
    [
        {"least_rows": 999},
        {"rounds": 26},
        {"label_columns": 0},
        {"features": ()},
        {"features": ("tax.vat", "tax.vat")},
        {"inverse_ridge": {"least": Decimal(1), "most": Decimal("0.1")}},
        {"inverse_ridge": {"least": Decimal(0), "most": Decimal(1)}},
        {"runs": {"most": 0, "days": 30}},
        {"releases": ("weights",)},
        {"algorithm": "boosting"},
    ],
)
def test_no_training_is_laxer_than_the_room(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        asking(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": None},
        {"kind": "Check"},
        {"check": "tax.vat >= 1000"},
        {"kind": "Check", "check": "tax.vat >= 1000"},
    ],
)
def test_a_template_asks_for_what_its_kind_names_and_nothing_else(
    changes: dict[str, object],
) -> None:
    whole = training().model_dump() | {"title": Title(en="A", zh="一")}
    with pytest.raises(ValueError, match=r"Training|Check"):
        Template.model_validate(whole | changes)
