"""How a statement is accepted: opened, verified, recorded, known, delivered.

The same five steps for every kind; the rules differ (`rules.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from saferoom import rules, subject_rules
from saferoom.archive import Archive
from saferoom.evidence import Caller, Recorded, Role
from saferoom.ledger.ledger import Ledger
from saferoom.likeness import require_unlike
from saferoom.mentions import About
from saferoom.notary import Notary
from saferoom.register import KINDS, Held, Organisation, Register
from saferoom.rules import Ground, RoomFacts, Rule
from saferoom.state.rows import OrganisationRoles, OrganisationRow
from saferoom.turns import Turns
from saferoom.undisturbed import Undisturbed
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    Acknowledgement,
    Approval,
    CertificateRevocation,
    Charter,
    Consent,
    ConsentRevocation,
    Feature,
    Payload,
    Template,
    load,
)

P = TypeVar("P", bound=Payload)


_FOR_ALL_OWNERS: Final = (Feature, Consent, ConsentRevocation, CertificateRevocation)


class Followers(Protocol):
    """The enclaves, as far as statements need them."""

    def start(self, owner: str) -> None:
        """Start an owner's enclave, or start it anew."""
        ...

    async def deliver(self, owners: Iterable[str]) -> None:
        """Wait until these owners' enclaves, as far as they are reached, have heard of all."""
        ...


@dataclass(frozen=True, slots=True)
class Revoked:
    """A recorded revocation of a consent, and which enclaves acknowledge it.

    Attributes:
        recorded: the revocation.
        acknowledgements: one for every enclave that has it.
        waiting: owners whose enclave was not reached.
    """

    recorded: Recorded[ConsentRevocation]
    acknowledgements: tuple[Recorded[Acknowledgement], ...]
    waiting: tuple[str, ...]


class Statements:
    """Accepts statements.

    Args:
        facts: what the room is.
        register: what it knows.
        notary: records.
        archive: finds what was recorded.
        ledger: stores organisations.
        followers: the enclaves.
        clock: gives the instant.
    """

    def __init__(
        self,
        *,
        facts: RoomFacts,
        register: Register,
        notary: Notary,
        archive: Archive,
        ledger: Ledger,
        followers: Followers,
        clock: Callable[[], datetime],
    ) -> None:
        self._facts: Final = facts
        self._register: Final = register
        self._notary: Final = notary
        self._archive: Final = archive
        self._ledger: Final = ledger
        self._followers: Final = followers
        self._clock: Final = clock
        self._turns: Final = Turns()
        self._accepting: Final = Undisturbed()

    async def accept(self, caller: Caller, envelope: Envelope, rule: Rule[P]) -> Recorded[P]:
        """Accept a statement of one kind.

        A statement that was accepted before is given back as it stands in the log. The room goes by
        what it recorded, whether the giver still waits or not.

        Raises:
            SafeRoomError: whatever the rule refuses with; `CONFLICT`.
        """
        # Step 1: what it says, whether it is this room's, and whether this caller may hand it in.
        payload = load(envelope, rule.kind)
        if payload.room != self._facts.origin:
            fault = FieldFault("room", "is another room's")
            raise SafeRoomError(Reason.MALFORMED, "room", [fault])
        rule.may(caller, payload)

        async def accepted() -> tuple[Recorded[P], tuple[str, ...]]:
            recorded = await self._notary.recall(envelope.digest, payload)
            if recorded is not None:
                return recorded, ()
            # Step 2: whether it holds, as far as the room can tell.
            ground = Ground(self._register, self._facts, self._clock())
            owners = rule.verify(envelope, payload, ground)
            # Step 3: the log and the enclaves' streams, in one commit.
            recorded = await self._notary.record(
                rule.kind, payload, envelope, owners=owners, backlog=await self._backlog(payload)
            )
            # Step 4: from now on the room goes by it.
            self._register.apply(Held(envelope, payload))
            if isinstance(payload, Charter):
                self._followers.start(payload.owner)
                owners = tuple(owner for owner in owners if owner != payload.owner)
            return recorded, owners

        recorded, owners = await self._accepting.run_within(self._turn(rule.kind), accepted)
        # Step 5: enclaves that can be reached hear of it before its giver gets the receipt.
        await self._followers.deliver(owners)
        return recorded

    async def drain(self, seconds: float) -> None:
        """Wait for what is being accepted, and no longer than this."""
        await self._accepting.drain(seconds)

    async def recorded(self, held: Held[P]) -> Recorded[P]:
        """Give a statement that the room goes by as it stands in the log.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if it does not stand there.
        """
        found = await self._notary.recall(held.digest, held.says)
        if found is None:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"no such {held.says.KIND}")
        return found

    async def propose(
        self, caller: Caller, template: Envelope, certificate: Envelope
    ) -> Recorded[Template]:
        """Accept a template with its release certificate."""
        rule = rules.template_rule(certificate)
        recorded = await self.accept(caller, template, rule)
        await self.accept(caller, certificate, rules.CERTIFICATE)
        return recorded

    async def approve(
        self, caller: Caller, approval: Envelope, certificate: Envelope | None
    ) -> Recorded[Approval]:
        """Accept an approval, and before it the release certificate that came with it, if any."""
        if certificate is not None:
            rules.APPROVAL.may(caller, load(approval, Approval))
            load(certificate, ReleaseCertificate)
            await self.accept(caller, certificate, rules.CERTIFICATE)
        return await self.accept(caller, approval, rules.APPROVAL)

    async def revoke_consent(self, caller: Caller, revocation: Envelope) -> Revoked:
        """Accept a consent's revocation; tells which enclaves acknowledge it by now."""
        payload = load(revocation, ConsentRevocation)
        found = await self._archive.find(payload.consent)
        if found is None or found.kind != Consent.KIND:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such consent")
        rule = subject_rules.revocation_rule(load(found.envelope, Consent))
        recorded = await self.accept(caller, revocation, rule)
        acknowledged = [
            self._notary.prove(each, load(each.envelope, Acknowledgement))
            for each in await self._archive.about(
                About.ACKNOWLEDGEMENTS_OF_REVOCATION, revocation.digest
            )
        ]
        have = {each.said.owner for each in acknowledged}
        waiting = tuple(owner for owner in self._register.owners if owner not in have)
        return Revoked(recorded, tuple(acknowledged), waiting)

    async def enrol(self, organisation: Organisation) -> Organisation:
        """Enrol an organisation; one that is enrolled with the same roles and names stays.

        One that was revoked may be enrolled again, under the names it had.

        Raises:
            SafeRoomError: `CONFLICT` if it is enrolled otherwise, or looks like another;
                `MALFORMED` for a handle that statements about such an organisation could not
                carry, or a name in letters that people do not tell apart.
        """
        _require_usable(organisation)

        async def enrolled() -> None:
            held = self._register.organisation(organisation.name)
            if held is None:
                require_unlike(organisation, self._register.organisations())
                roles = tuple(sorted(organisation.roles))
                row = OrganisationRow(
                    organisation.name, organisation.title_en, organisation.title_zh, roles
                )
                await self._ledger.store(row)
                self._register.enrol(organisation)
            elif not held.roles and _titles(held) == _titles(organisation):
                await self._change_roles(organisation)
            elif held != organisation:
                rule = "is enrolled already, with other roles or titles"
                fault = FieldFault(organisation.name, rule)
                raise SafeRoomError(Reason.CONFLICT, f"{organisation.name} {rule}", [fault])

        await self._accepting.run_within(self._turns.alone(), enrolled)
        return organisation

    async def revoke_organisation(self, name: str, operator: str) -> Organisation:
        """Take an organisation's roles away; its members are refused from the next call on.

        What it signed stays signed: owners end their agreements themselves.

        Args:
            name: of the organisation.
            operator: the room's own, which is not revoked.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if it is not enrolled; `CONFLICT` for the operator.
        """

        async def revoked() -> Organisation:
            held = self._register.organisation(name)
            if held is None:
                raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"{name} is not enrolled")
            if name == operator:
                rule = "the operator does not revoke itself"
                raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault(name, rule)])
            left = Organisation(name, held.title_en, held.title_zh, frozenset())
            await self._change_roles(left)
            return left

        return await self._accepting.run_within(self._turns.alone(), revoked)

    async def _change_roles(self, organisation: Organisation) -> None:
        roles = tuple(sorted(organisation.roles))
        await self._ledger.store(OrganisationRoles(organisation.name, roles))
        self._register.enrol(organisation)

    async def _backlog(self, payload: Payload) -> tuple[Envelope, ...]:
        """Give what enclaves that follow a statement have to know of the time before it.

        With a new owner's first charter: a certificate that was revoked must not count there, and a
        consent by information types reaches an owner that comes later. With a certificate: the
        charters that it pins, of which each enclave knows its own.
        """
        if isinstance(payload, ReleaseCertificate):
            pinned = [part.owner for part in payload.parts if part.charter is not None]
            return tuple(self._register.charter_statement(owner).envelope for owner in pinned)
        if not isinstance(payload, Charter) or payload.owner in self._register.owners:
            return ()
        return await self._archive.of_kinds([kind.KIND for kind in _FOR_ALL_OWNERS])

    def _turn(self, kind: type[Payload]) -> AbstractAsyncContextManager[None]:
        """Take turns for what the next statement's verification goes by.

        Consents go by nothing of each other, and there are many: they share commits. But none is
        under way while an owner's first charter brings that owner what was said so far.
        """
        return self._turns.alone() if kind in KINDS else self._turns.together()


def _titles(organisation: Organisation) -> tuple[str, str]:
    return organisation.title_en, organisation.title_zh


def _require_usable(organisation: Organisation) -> None:
    name, roles = organisation.name, organisation.roles
    if Role.OWNER in roles and "-" in name:
        fault = FieldFault("organisation.name", "an owner's handle has no hyphen: formulas name it")
    elif Role.SUBJECT in roles:
        fault = FieldFault("organisation.roles", "subjects are not enrolled")
    else:
        return
    raise SafeRoomError(Reason.MALFORMED, fault.field, [fault])
