"""The room for asyncio programs."""

from __future__ import annotations

from saferoom_client import (
    agreements,
    batches,
    challenge,
    checks,
    consent_requests,
    consents,
    costs,
    disputes,
    federations,
    handovers,
    holdings,
    jobs,
    loading,
    log,
    members,
    owners,
    receipt_witness,
    recovery,
    root_handovers,
    score_batches,
    scores,
    stats,
    stores,
    sums,
    templates,
    usage,
    use_receipts,
    uses,
    versions,
)
from saferoom_client.audit import run
from saferoom_client.fits import asking as fits
from saferoom_client.fits import cancelling, prices
from saferoom_client.report import asking, listing
from saferoom_client.session import Session


class AsyncRoom(Session):
    """A member's room: `async with AsyncRoom.open(folder) as room: await room.check(...)`.

    Made and used in one event loop. Each method is described where it is defined. What the room
    tells is verified under the keys pinned in the member's folder before it is returned.
    """

    # Who is in the room.
    describe = members.describe
    follow = handovers.follow
    whoami = members.whoami
    enrol_organisation = members.enrol_organisation
    list_organisations = members.list_organisations
    revoke_organisation = members.revoke_organisation
    list_certificates = members.list_certificates
    revoke_certificate = members.revoke_certificate

    # Data owners.
    put_charter = owners.put_charter
    get_charter = owners.get_charter
    draft_root_handover = root_handovers.draft_root_handover
    hand_over_root = root_handovers.hand_over_root
    follow_root = root_handovers.follow_root
    get_endorsement = owners.get_endorsement
    put_schema = owners.put_schema
    get_schema = owners.get_schema
    put_feature = owners.put_feature
    add_feature = owners.add_feature
    try_feature = owners.try_feature
    list_features = owners.list_features
    pause = owners.pause
    resume = owners.resume
    stopped_uses = owners.stopped_uses
    get_evidence = challenge.get_evidence
    enclave_chain = recovery.enclave_chain
    recover_enclave = recovery.recover_enclave
    load_data = loading.load_data
    list_versions = versions.list_versions
    roll_back = versions.roll_back

    # Templates and agreements.
    propose_template = templates.propose_template
    get_template = templates.get_template
    list_templates = templates.list_templates
    survey_templates = templates.survey_templates
    approve = templates.approve
    refuse = templates.refuse
    withdraw = templates.withdraw
    changes_since_approval = templates.changes_since_approval
    put_agreement = agreements.put_agreement
    missing_signatures = agreements.missing_signatures
    end_agreement = agreements.end_agreement
    list_agreements = agreements.list_agreements

    # Subjects.
    grant_consent = consents.grant_consent
    revoke_consent = consents.revoke_consent
    list_consents = consents.list_consents
    request_consent = consent_requests.request_consent
    list_consent_requests = consent_requests.list_consent_requests
    get_consent_request = consent_requests.get_consent_request
    get_holdings = holdings.get_holdings
    open_dispute = disputes.open_dispute
    list_disputes = disputes.list_disputes
    answer_dispute = disputes.answer_dispute
    withdraw_dispute = disputes.withdraw_dispute

    # Institutions.
    check = checks.check
    prepare = checks.prepare
    ask = checks.ask
    get_check = checks.get_check
    check_many = batches.check_many
    prepare_many = batches.prepare_many
    ask_many = batches.ask_many
    row_receipt = batches.row_receipt
    tabulate = stats.tabulate
    expect_tables = stats.expect_tables
    price_tables = stats.price_tables
    add_up = sums.add_up
    price_sum = sums.price_sum
    ask_report = asking.ask_report
    ask_list = listing.ask_list
    list_stores = stores.list_stores
    cost = costs.cost
    price = costs.price
    score = scores.score
    score_many = score_batches.score_many
    ask_scores = score_batches.ask_scores
    train_in_room = fits.train_in_room
    prepare_fit = fits.prepare_fit
    ask_fit = fits.ask_fit
    take_up_fit = fits.take_up_fit
    cancel_fit = cancelling.cancel_fit
    price_fit = prices.price_fit
    submit_job = jobs.submit_job
    take_part = jobs.take_part
    list_jobs = jobs.list_jobs
    watch_job = jobs.watch_job
    cancel_job = jobs.cancel_job
    propose_federation = federations.propose_federation
    show_federation = federations.show_federation
    join_federation = federations.join_federation
    train_federation = federations.train_federation
    score_federation = federations.score_federation
    end_federation = federations.end_federation
    list_federations = federations.list_federations

    # What was asked, shown to those it concerns.
    list_uses = uses.list_uses
    get_usage = usage.get_usage
    use_receipt = use_receipts.use_receipt
    template_of = use_receipts.template_of
    witness_receipt = receipt_witness.witness_receipt

    # The log.
    checkpoint = log.checkpoint
    entries = log.entries
    verify_log = log.verify_log
    audit_log = run.audit_log
