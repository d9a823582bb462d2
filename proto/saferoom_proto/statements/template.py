"""Templates and what owners say about them; agreements between an owner and an institution."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.statements.aggregate import Aggregate
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    FeatureName,
    Instant,
    Name,
    Owner,
    Part,
    Payload,
    Purpose,
    Text,
    Title,
    Usage,
    ValidFor,
    distinct,
)
from saferoom_proto.statements.fit import Fit
from saferoom_proto.statements.listing import Listing
from saferoom_proto.statements.report import Report
from saferoom_proto.statements.score import Score
from saferoom_proto.statements.training import Training


class Parameter(Part):
    """A parameter of a template: it ranges over its feature's grid or classes."""

    feature: FeatureName


class Returns(StrEnum):
    """What a formula over several owners gives its asker."""

    PARTS = "parts"
    """Each owner's part, each charged and approved."""
    CONJUNCTION = "conjunction"
    """Only whether all parts hold (PROTOCOLS section 6)."""
    BLIND = "blind"
    """Of one owner: whether a value that only the asker knows is the one held (section 7)."""


Purposes = Annotated[
    tuple[Purpose, ...], Field(min_length=1, max_length=5), AfterValidator(distinct)
]


class Template(Payload):
    """A check, tables, a training, a report, a list, scores or a fit. Approvals sign its digest.

    Signed by who proposes it.

    Templates were checks at first: what another kind asks is written only where it is asked.
    """

    KIND: ClassVar[str] = "template"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    kind: Literal["Check", "Aggregate", "Training", "Report", "Score", "Fit", "List"]
    name: Name
    title: Title
    proposer: Name
    signer: Base64
    """The X.509 certificate, DER, of the member of the proposer who signs it."""
    purposes: Purposes
    params: Annotated[dict[Owner, Parameter], Field(max_length=32)] = Field(default_factory=dict)
    check: Annotated[str, StringConstraints(max_length=4096), Field(exclude_if=operator.not_)] = ""
    returns: Returns = Returns.PARTS
    aggregate: Annotated[Aggregate | None, Field(exclude_if=operator.not_)] = None
    training: Annotated[Training | None, Field(exclude_if=operator.not_)] = None
    report: Annotated[Report | None, Field(exclude_if=operator.not_)] = None
    score: Annotated[Score | None, Field(exclude_if=operator.not_)] = None
    fit: Annotated[Fit | None, Field(exclude_if=operator.not_)] = None
    listing: Annotated[Listing | None, Field(exclude_if=operator.not_)] = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> Template:
        if (self.kind == "Check") != bool(self.check):
            raise ValueError("a Check, and no other kind, has a formula: check")
        if (self.kind == "Aggregate") != (self.aggregate is not None):
            raise ValueError("an Aggregate, and no other kind, has a plan: aggregate")
        if (self.kind == "Training") != (self.training is not None):
            raise ValueError("a Training, and no other kind, says what is trained: training")
        if (self.kind == "Report") != (self.report is not None):
            raise ValueError("a Report, and no other kind, names tables and columns: report")
        if (self.kind == "Score") != (self.score is not None):
            raise ValueError("a Score, and no other kind, says what is scored: score")
        if (self.kind == "Fit") != (self.fit is not None):
            raise ValueError("a Fit, and no other kind, says what is trained in the room: fit")
        if (self.kind == "List") != (self.listing is not None):
            raise ValueError("a List, and no other kind, says which firms it lists: listing")
        if self.kind != "Check" and (self.params or self.returns is not Returns.PARTS):
            raise ValueError("only a Check has parameters, or says what it returns")
        return self


class Approval(Payload):
    """One approver lets these exact bytes run: template, certificate and charter by digest."""

    KIND: ClassVar[str] = "approval"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    charter: Digest
    template: Digest
    certificate: Digest
    at: Instant


class Withdrawal(Payload):
    """An approver takes a template's approval back, at once (a fresh one may follow)."""

    KIND: ClassVar[str] = "withdrawal"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    template: Digest
    why: Text
    at: Instant


class TemplateRefusal(Payload):
    """An approver tells a template's proposer that it will not be approved as it is, and why.

    It stops nothing: what was not approved does not run. Whoever approves later has thought again.
    """

    KIND: ClassVar[str] = "template-refusal"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    template: Digest
    why: Text
    at: Instant


class Pause(Payload):
    """An approver stops (or lets go on) all use of the store, or of one template."""

    KIND: ClassVar[str] = "pause"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    template: Digest | None
    paused: bool
    why: Text
    at: Instant


class InstitutionKey(Part):
    """Who signs requests for an institution: a member of it, as an identity issuer names it."""

    name: Name
    certificate: Base64
    """The member's X.509 signing certificate, DER; revoked, it signs no more requests."""


class Agreement(ValidFor):
    """What an owner and an institution agreed (数据共享协议). Signed by both sides.

    The owner's side is its approvers, as many as the charter asks; the institution's side is one
    of the keys named here.
    """

    KIND: ClassVar[str] = "agreement"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    institution: Name
    group: Name
    """The collusion group: institutions that share what they learn are charged together."""
    keys: Annotated[tuple[InstitutionKey, ...], Field(min_length=1, max_length=16)]
    purposes: Purposes
    replaces: Digest | None
    """The agreement that this one ends; an institution has one in force with an owner."""


class AgreementEnd(Payload):
    """An approver ends an agreement."""

    KIND: ClassVar[str] = "agreement-end"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    agreement: Digest
    why: Text
    at: Instant
