"""Prices as values: what a question would cost now, and what a template costs at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from saferoom_client.values import bits_told
from saferoom_proto.certificate import FeatureUse, ReleaseCertificate
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import CostEstimate, FamilyPrice, FeaturePrice


@dataclass(frozen=True, slots=True)
class Cost:
    """What a question would cost now, by each owner's enclave.

    Attributes:
        request_id: digest of the signed request for the price.
        estimates: each enclave's word, by its owner; verified and in the log.
    """

    request_id: str
    estimates: Mapping[str, CostEstimate]

    @property
    def refused(self) -> Reason | None:
        """For what the question would be refused, by the first owner that would; none if none."""
        reasons = (each.refused for each in self.estimates.values())
        return next((reason for reason in reasons if reason is not None), None)

    @property
    def features(self) -> tuple[FeaturePrice, ...]:
        """The price of each feature."""
        return tuple(price for each in self.estimates.values() for price in each.features)

    @property
    def families(self) -> tuple[tuple[str, FamilyPrice], ...]:
        """The price of each family of features, with its owner."""
        return tuple(
            (owner, price) for owner, each in self.estimates.items() for price in each.families
        )

    @property
    def bits(self) -> float:
        """What would be charged in all, in bits beyond what was asked before."""
        return bits_told(self.features)


@dataclass(frozen=True, slots=True)
class TemplatePrice:
    """What one question by a template costs at most, by its release certificate alone."""

    template: str
    certificate: ReleaseCertificate

    @property
    def charged(self) -> tuple[FeatureUse, ...]:
        """The features that are charged, with the most cells a question can tell apart."""
        return tuple(use for part in self.certificate.parts for use in part.features if use.charged)

    @property
    def most_bits(self) -> float:
        """The most that is charged for one question, in bits."""
        return sum(math.log2(use.most_cells) for use in self.charged)

    @property
    def needs_consent(self) -> bool:
        """Whether any owner asks for the subject's consent."""
        return any(part.needs_consent for part in self.certificate.parts)
