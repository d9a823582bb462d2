"""ConsentService: what subjects are asked for, grant and take back."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

from typing import Final

from saferoom import subject_rules, wire
from saferoom.archive import MOST, Archive
from saferoom.consent_requests import ConsentRequests
from saferoom.evidence import Role
from saferoom.identity import current_caller
from saferoom.mentions import About
from saferoom.statements import Statements
from saferoom_proto.statements import ConsentRevocation, load
from saferoom_proto.v1 import consent_pb2, consent_pb2_grpc


class ConsentService(consent_pb2_grpc.ConsentServiceServicer):
    """Takes consents and revocations, and shows them to those they concern."""

    def __init__(self, statements: Statements, archive: Archive, requests: ConsentRequests) -> None:
        self._statements: Final = statements
        self._archive: Final = archive
        self._requests: Final = requests

    async def GrantConsent(
        self, request: consent_pb2.GrantConsentRequest, context: object
    ) -> consent_pb2.GrantConsentResponse:
        """Record a consent."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.consent), subject_rules.CONSENT
        )
        return consent_pb2.GrantConsentResponse(recorded=wire.recorded(recorded))

    async def RevokeConsent(
        self, request: consent_pb2.RevokeConsentRequest, context: object
    ) -> consent_pb2.RevokeConsentResponse:
        """Record a revocation and bring back the enclaves' acknowledgements."""
        revoked = await self._statements.revoke_consent(
            current_caller(), wire.envelope(request.revocation)
        )
        return wire.revoked(revoked)

    async def ListConsents(
        self, request: consent_pb2.ListConsentsRequest, context: object
    ) -> consent_pb2.ListConsentsResponse:
        """List the newest consents: a subject's own; those given to an organisation, or by it."""
        caller = current_caller()
        if Role.SUBJECT in caller.roles:
            fields = (About.CONSENTS_OF_SUBJECT,)
        else:
            fields = (About.CONSENTS_TO_INSTITUTION, About.CONSENTS_OF_REGISTRAR)
        found = [
            each
            for about in fields
            for each in await self._archive.about(about, caller.organisation)
        ]
        by_entry = {each.position.index: each for each in found}
        held = [by_entry[index] for index in sorted(by_entry)][-MOST:]
        digests = [each.envelope.digest for each in held]
        revoked = {
            load(each.envelope, ConsentRevocation).consent
            for each in await self._archive.about(About.REVOCATIONS_OF_CONSENT, *digests)
        }
        return consent_pb2.ListConsentsResponse(
            consents=wire.envelopes(each.envelope for each in held),
            revoked=[digest for digest in digests if digest in revoked],
        )

    async def RequestConsent(
        self, request: consent_pb2.RequestConsentRequest, context: object
    ) -> consent_pb2.RequestConsentResponse:
        """Record an institution's request for a subject's consent."""
        recorded = await self._requests.ask(current_caller(), wire.envelope(request.request))
        return consent_pb2.RequestConsentResponse(recorded=wire.recorded(recorded))

    async def ListConsentRequests(
        self, request: consent_pb2.ListConsentRequestsRequest, context: object
    ) -> consent_pb2.ListConsentRequestsResponse:
        """List requests for consent: those made to a subject, or the caller's institution's own."""
        page = await self._requests.listed(current_caller(), request.before)
        return consent_pb2.ListConsentRequestsResponse(
            requests=[wire.recorded(each) for each in page.listed], next=page.next
        )
