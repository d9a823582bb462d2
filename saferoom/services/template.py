"""TemplateService: templates, approvals and agreements."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

from typing import Final

from saferoom import rules, wire
from saferoom.identity import current_caller
from saferoom.register import Register
from saferoom.statements import Statements
from saferoom_proto.certificate import features_named, owners_of
from saferoom_proto.v1 import template_pb2, template_pb2_grpc
from saferoom_proto.wire import envelope_to_proto


class TemplateService(template_pb2_grpc.TemplateServiceServicer):
    """Takes templates and what owners say about them, and shows both."""

    def __init__(self, register: Register, statements: Statements) -> None:
        self._register: Final = register
        self._statements: Final = statements

    async def ProposeTemplate(
        self, request: template_pb2.ProposeTemplateRequest, context: object
    ) -> template_pb2.ProposeTemplateResponse:
        """Record a template and its release certificate."""
        recorded = await self._statements.propose(
            current_caller(),
            wire.envelope(request.template),
            wire.envelope(request.certificate),
        )
        return template_pb2.ProposeTemplateResponse(recorded=wire.recorded(recorded))

    async def GetTemplate(
        self, request: template_pb2.GetTemplateRequest, context: object
    ) -> template_pb2.GetTemplateResponse:
        """Give a template with everything that bears on it."""
        register = self._register
        template = register.template(request.template)
        held = [register.feature(ref) for ref in features_named(template.says)]
        return template_pb2.GetTemplateResponse(
            template=envelope_to_proto(template.envelope),
            features=wire.envelopes(each.envelope for each in held if each is not None),
            charters=wire.envelopes(
                register.charter_statement(owner).envelope for owner in owners_of(template.says)
            ),
            approvals=wire.envelopes(each.envelope for each in register.approvals(template.digest)),
            certificates=wire.envelopes(
                each.envelope for each in register.certificates(template.digest)
            ),
            refusals=wire.envelopes(each.envelope for each in register.refusals(template.digest)),
        )

    async def ListTemplates(
        self, request: template_pb2.ListTemplatesRequest, context: object
    ) -> template_pb2.ListTemplatesResponse:
        """List the templates."""
        held = self._register.templates()
        return template_pb2.ListTemplatesResponse(
            templates=wire.envelopes(each.envelope for each in held)
        )

    async def Approve(
        self, request: template_pb2.ApproveRequest, context: object
    ) -> template_pb2.ApproveResponse:
        """Record an approval."""
        certificate = (
            wire.envelope(request.certificate) if request.HasField("certificate") else None
        )
        recorded = await self._statements.approve(
            current_caller(), wire.envelope(request.approval), certificate
        )
        return template_pb2.ApproveResponse(recorded=wire.recorded(recorded))

    async def Refuse(
        self, request: template_pb2.RefuseRequest, context: object
    ) -> template_pb2.RefuseResponse:
        """Record a refusal."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.refusal), rules.TEMPLATE_REFUSAL
        )
        return template_pb2.RefuseResponse(recorded=wire.recorded(recorded))

    async def Withdraw(
        self, request: template_pb2.WithdrawRequest, context: object
    ) -> template_pb2.WithdrawResponse:
        """Record a withdrawal."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.withdrawal), rules.WITHDRAWAL
        )
        return template_pb2.WithdrawResponse(recorded=wire.recorded(recorded))

    async def PutAgreement(
        self, request: template_pb2.PutAgreementRequest, context: object
    ) -> template_pb2.PutAgreementResponse:
        """Record an agreement."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.agreement), rules.AGREEMENT
        )
        return template_pb2.PutAgreementResponse(recorded=wire.recorded(recorded))

    async def EndAgreement(
        self, request: template_pb2.EndAgreementRequest, context: object
    ) -> template_pb2.EndAgreementResponse:
        """Record an agreement's end."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.end), rules.AGREEMENT_END
        )
        return template_pb2.EndAgreementResponse(recorded=wire.recorded(recorded))

    async def ListAgreements(
        self, request: template_pb2.ListAgreementsRequest, context: object
    ) -> template_pb2.ListAgreementsResponse:
        """List the agreements of the caller's organisation."""
        held = list(self._register.agreements(current_caller().organisation))
        ends = [self._register.end_of(each.digest) for each in held]
        return template_pb2.ListAgreementsResponse(
            agreements=wire.envelopes(each.envelope for each in held),
            ends=wire.envelopes(each.envelope for each in ends if each is not None),
        )
