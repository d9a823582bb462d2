"""An institution: what it proposes, what it asks, and what it can open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from saferoom_proto.answer import Answer, seal_info
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.formula import parameters, parse_formula
from saferoom_proto.identity import organisation_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Aggregate,
    CheckRequest,
    CostRequest,
    Fit,
    Listing,
    ListRequest,
    Parameter,
    Purpose,
    Report,
    Returns,
    Score,
    TableRequest,
    Template,
    Title,
    Training,
    load,
    seal_statement,
)

if TYPE_CHECKING:
    from simulator.subject import SimSubject
    from simulator.world import World

WINDOW: Final = timedelta(minutes=10)


class SimBank:
    """An institution with one signing key and one key that answers are sealed to."""

    def __init__(self, name: str, world: World) -> None:
        self.name: Final = name
        self.world: Final = world
        self.key: Final = world.seeds.signing(f"bank {name}")
        self.reply: Final = world.seeds.sealing(f"bank {name}")
        self.certified = world.issuer.issue(organisation_uri(name, "checks"), self.key.verify_key)
        """The X.509 certificate that names the key, DER."""

    def template(
        self,
        name: str,
        check: str,
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        returns: Returns = Returns.PARTS,
    ) -> Envelope:
        """Make a template; its parameters are read off the formula."""
        params = {
            param: Parameter(feature=str(feature))
            for param, feature in parameters(parse_formula(check)).items()
        }
        what = {"params": params, "check": check, "returns": returns}
        return self._template(name, purposes, kind="Check", **what)

    def _template(self, name: str, purposes: Sequence[Purpose], **what: object) -> Envelope:
        """Make a template of any kind."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "name": name,
            "title": Title(en=name, zh=name),
            "proposer": self.name,
            "signer": b64(self.certified),
            "purposes": tuple(purposes),
        }
        return seal_statement(Template.model_validate(fields | what), self.key)

    def _published(self, template: Envelope) -> tuple[Envelope, Envelope]:
        """Publish a template, and its release certificate."""
        certificate = self.certificate(template)
        published = self.world.publish(template), self.world.publish(certificate)
        for part in load(certificate, ReleaseCertificate).parts:
            if part.charter is not None:  # a conjunction's enclaves need each other's keys
                self.world.publish(self.world.owners[part.owner].charters[-1])
        return published

    def tables(
        self,
        name: str,
        aggregate: Aggregate,
        purposes: Sequence[Purpose] = (Purpose.PRODUCT_DESIGN,),
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of tables and its release certificate."""
        return self._published(
            self._template(name, purposes, kind="Aggregate", aggregate=aggregate)
        )

    def training(
        self,
        name: str,
        training: Training,
        purposes: Sequence[Purpose] = (Purpose.PRODUCT_DESIGN,),
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of joint training and its release certificate."""
        return self._published(self._template(name, purposes, kind="Training", training=training))

    def fits(
        self, name: str, fit: Fit, purposes: Sequence[Purpose] = (Purpose.PRODUCT_DESIGN,)
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of a training in the room and its release certificate."""
        return self._published(self._template(name, purposes, kind="Fit", fit=fit))

    def report(
        self, name: str, report: Report, purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,)
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of a report and its release certificate."""
        return self._published(self._template(name, purposes, kind="Report", report=report))

    def listing(
        self, name: str, listing: Listing, purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,)
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of a list and its release certificate."""
        return self._published(self._template(name, purposes, kind="List", listing=listing))

    def scores(
        self, name: str, score: Score, purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,)
    ) -> tuple[Envelope, Envelope]:
        """Publish a template of scores and its release certificate."""
        return self._published(self._template(name, purposes, kind="Score", score=score))

    def table_request(
        self,
        template: Envelope,
        certificate: Envelope,
        *,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request for tables; fields can be changed by name, and another key may sign."""
        fields = self.about_nobody(template, certificate) | {"purpose": Purpose.PRODUCT_DESIGN}
        payload = TableRequest.model_validate(fields | changes)
        return seal_statement(payload, self.key if key is None else key)

    def list_request(
        self,
        template: Envelope,
        certificate: Envelope,
        *,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request for the first page of a list; fields can be changed by name."""
        asked = {"purpose": Purpose.PRE_LOAN, "page": 1}
        fields = self.about_nobody(template, certificate) | asked
        payload = ListRequest.model_validate(fields | changes)
        return seal_statement(payload, self.key if key is None else key)

    def about_nobody(self, template: Envelope, certificate: Envelope) -> dict[str, object]:
        """Give what requests that name no subject have alike."""
        now = self.world.now()
        return {
            "room": self.world.room,
            "institution": self.name,
            "template": template.digest,
            "certificate": certificate.digest,
            "nonce": b64(self.world.seeds.fresh(16)),
            "not_before": now,
            "not_after": now + WINDOW,
            "reply_key": b64(self.reply.public),
        }

    def certificate(self, template: Envelope) -> Envelope:
        """Derive a template's release certificate from the features in force."""
        charters = {name: owner.charter.digest for name, owner in self.world.owners.items()}
        derived = derive_certificate(template, self.world.features, charters)
        return seal_statement(derived, self.key)

    def propose(
        self,
        name: str,
        check: str,
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        returns: Returns = Returns.PARTS,
    ) -> tuple[Envelope, Envelope]:
        """Publish a template and its release certificate."""
        return self._published(self.template(name, check, purposes, returns))

    def request(
        self,
        subject: SimSubject | str,
        template: Envelope,
        certificate: Envelope | str,
        params: Mapping[str, str | bool] | None = None,
        *,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a question; fields can be changed by name, and another key may sign."""
        now = self.world.now()
        fields: dict[str, object] = {
            "room": self.world.room,
            "institution": self.name,
            "template": template.digest,
            "certificate": certificate if isinstance(certificate, str) else certificate.digest,
            "subject": subject if isinstance(subject, str) else subject.uscc,
            "params": dict(params or {}),
            "purpose": Purpose.PRE_LOAN,
            "nonce": b64(self.world.seeds.fresh(16)),
            "not_before": now,
            "not_after": now + WINDOW,
            "reply_key": b64(self.reply.public),
        }
        payload = CheckRequest.model_validate(fields | changes)
        return seal_statement(payload, self.key if key is None else key)

    def cost_request(self, question: Envelope, **changes: object) -> Envelope:
        """Sign the question of what a question would cost; fields can be changed by name."""
        asked = load(question, CheckRequest).model_dump(exclude={"reply_key"})
        asked["nonce"] = b64(self.world.seeds.fresh(16))
        return seal_statement(CostRequest.model_validate(asked | changes), self.key)

    def open(self, request: Envelope, owner: str, sealed: bytes) -> Answer:
        """Open an owner's answer to a request."""
        return Answer.from_bytes(self.unseal(request, owner, sealed))

    def unseal(self, request: Envelope, owner: str, sealed: bytes) -> bytes:
        """Open what an owner's enclave sealed, whatever it is."""
        return self.reply.open(sealed, info=seal_info(request.digest, owner))
