"""What an owner's store was used for, added up: epsilon of what leaves with noise, too."""

from __future__ import annotations

from decimal import Decimal

from saferoom_client.usage import added_up
from saferoom_client.use import Use
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    ChainLink,
    FitRelease,
    JobAdmission,
    PrivacySpent,
    seal_statement,
)
from saferoom_proto.wire import Recorded
from tests.proto.golden_fits import words_on_fits
from tests.proto.golden_jobs import words_on_jobs
from tests.proto.golden_seeds import digest, key

SPENT = PrivacySpent(charged=Decimal("0.5"), spent=Decimal(2), cap=Decimal(4))


def use(place: int, said: FitRelease | JobAdmission, reason: Reason | None = None) -> Use:
    """Give a word as one that was listed, at a place of its chain that follows no other here."""
    placed = said.model_copy(
        update={"chain": ChainLink(index=2 * place, previous=said.chain.previous)}
    )
    return Use(
        index=place,
        word=Recorded(seal_statement(placed, key("enclave")), b"", ""),
        owner=said.owner,
        institution=said.institution,
        request_id=said.request,
        template=said.template,
        reason=reason,
        time=said.time,
        privacy=said.privacy,
        epoch=1,
    )


def test_epsilon_is_added_up_once_for_a_request_and_not_where_it_would_be() -> None:
    admission, fit = words_on_jobs()["job-admission with bands"], words_on_fits()["fit-release"]
    assert isinstance(admission, JobAdmission)
    assert isinstance(fit, FitRelease)
    begun = admission.model_copy(update={"template": digest("template"), "privacy": SPENT})
    told = fit.model_copy(update={"template": digest("template"), "privacy": SPENT})
    other = told.model_copy(update={"request": digest("another")})
    priced = told.model_copy(update={"request": digest("price")})
    usage = added_up(
        [
            use(0, begun),
            use(1, begun),  # taken up again, it is charged no second time
            use(2, told),
            use(3, other, Reason.WITHHELD),
            use(4, priced, Reason.PRICE_ONLY),
            use(5, priced.model_copy(update={"request": digest("dear")}), Reason.OVER_BUDGET),
        ]
    )
    (total,) = usage.totals.values()
    assert total.epsilon == Decimal("1.5")
    assert total.refused == {Reason.WITHHELD: 1, Reason.PRICE_ONLY: 1, Reason.OVER_BUDGET: 1}
