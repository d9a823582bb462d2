"""By what statements are found, beside their digests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from saferoom.state.rows import MentionRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import (
    Acknowledgement,
    Consent,
    ConsentRequest,
    ConsentRevocation,
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    Finding,
    KeyChange,
    Refusal,
    Snapshot,
    load,
)


class About(StrEnum):
    """A field of a kind of statement, by which such statements are found."""

    REFUSALS_OF_REQUEST = "refusal.request"
    CONSENTS_OF_SUBJECT = "consent.subject"
    CONSENTS_TO_INSTITUTION = "consent.institution"
    CONSENTS_OF_REGISTRAR = "consent.paper.registrar"
    REVOCATIONS_OF_CONSENT = "consent-revocation.consent"
    ACKNOWLEDGEMENTS_OF_REVOCATION = "acknowledgement.revocation"
    SNAPSHOTS_OF_OWNER = "snapshot.owner"
    KEY_CHANGES_OF_OWNER = "key-change.owner"
    CONSENT_REQUESTS_TO_SUBJECT = "consent-request.subject"
    CONSENT_REQUESTS_OF_INSTITUTION = "consent-request.institution"
    DISPUTES_OF_SUBJECT = "dispute.subject"
    DISPUTES_TO_OWNER = "dispute.owner"
    ANSWERS_OF_DISPUTE = "dispute-answer.dispute"
    DISPUTES_CLOSED = "dispute-answer.closed"
    DISPUTES_WITHDRAWN = "dispute-withdrawal.dispute"
    FEDERATIONS_OF_BANK = "federation-proposal.banks"
    WORDS_ON_FEDERATION = "federation.federation"


def _consent(statement: Envelope) -> Mapping[About, str]:
    consent = load(statement, Consent)
    paper = consent.paper
    return {
        About.CONSENTS_OF_SUBJECT: consent.subject,
        About.CONSENTS_TO_INSTITUTION: consent.institution,
        **({} if paper is None else {About.CONSENTS_OF_REGISTRAR: paper.registrar}),
    }


def _consent_request(statement: Envelope) -> Mapping[About, str]:
    request = load(statement, ConsentRequest)
    return {
        About.CONSENT_REQUESTS_TO_SUBJECT: request.subject,
        About.CONSENT_REQUESTS_OF_INSTITUTION: request.institution,
    }


def _dispute(statement: Envelope) -> Mapping[About, str]:
    return _in_lists(load(statement, Dispute))


def _dispute_answer(statement: Envelope) -> Mapping[About, str]:
    answer = load(statement, DisputeAnswer)
    closes = answer.finding is not Finding.PASSED_ON
    return {
        **_in_lists(answer),
        About.ANSWERS_OF_DISPUTE: answer.dispute,
        **({About.DISPUTES_CLOSED: answer.dispute} if closes else {}),
    }


def _dispute_withdrawal(statement: Envelope) -> Mapping[About, str]:
    withdrawal = load(statement, DisputeWithdrawal)
    return {**_in_lists(withdrawal), About.DISPUTES_WITHDRAWN: withdrawal.dispute}


def _in_lists(said: Dispute | DisputeAnswer | DisputeWithdrawal) -> Mapping[About, str]:
    """Give by what all that is said of a dispute is found with it."""
    return {About.DISPUTES_OF_SUBJECT: said.subject, About.DISPUTES_TO_OWNER: said.owner}


def _on_federation(
    kind: type[FederationJoin | FederationEnd | FederationResult],
) -> Callable[[Envelope], Mapping[About, str]]:
    return lambda statement: {About.WORDS_ON_FEDERATION: load(statement, kind).federation}


_MENTIONED: Final[Mapping[str, Callable[[Envelope], Mapping[About, str]]]] = {
    Refusal.payload_type(): lambda statement: {
        About.REFUSALS_OF_REQUEST: load(statement, Refusal).request
    },
    Consent.payload_type(): _consent,
    ConsentRequest.payload_type(): _consent_request,
    Dispute.payload_type(): _dispute,
    DisputeAnswer.payload_type(): _dispute_answer,
    DisputeWithdrawal.payload_type(): _dispute_withdrawal,
    ConsentRevocation.payload_type(): lambda statement: {
        About.REVOCATIONS_OF_CONSENT: load(statement, ConsentRevocation).consent
    },
    Acknowledgement.payload_type(): lambda statement: {
        About.ACKNOWLEDGEMENTS_OF_REVOCATION: load(statement, Acknowledgement).revocation
    },
    FederationJoin.payload_type(): _on_federation(FederationJoin),
    FederationEnd.payload_type(): _on_federation(FederationEnd),
    FederationResult.payload_type(): _on_federation(FederationResult),
    KeyChange.payload_type(): lambda statement: {
        About.KEY_CHANGES_OF_OWNER: load(statement, KeyChange).owner
    },
    Snapshot.payload_type(): lambda statement: {
        About.SNAPSHOTS_OF_OWNER: load(statement, Snapshot).owner
    },
}


def mentions(statement: Envelope) -> tuple[MentionRow, ...]:
    """Give the rows by which a statement is to be found; most kinds are found by digest only."""
    if statement.payload_type == FederationProposal.payload_type():
        banks = load(statement, FederationProposal).banks
        what = About.FEDERATIONS_OF_BANK
        return tuple(MentionRow(what, bank, statement.digest) for bank in banks)
    mentioned = _MENTIONED.get(statement.payload_type)
    if mentioned is None:
        return ()
    values = mentioned(statement).items()
    return tuple(MentionRow(what, value, statement.digest) for what, value in values)
