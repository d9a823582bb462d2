"""A server that shows forged approvals neither adds to those that count nor hides them."""

from __future__ import annotations

import json

from saferoom_client.cli.plainly import describe, listed_document, listed_row, view_document
from saferoom_client.templates import ListedTemplate, approved_by, forged_approvals
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import derive_certificate
from saferoom_proto.statements import Approval, Template, load, seal_statement
from simulator import APPROVERS, Sample, sample

CHEN, LI, _ = APPROVERS


def shown(room: Sample) -> TemplateView:
    """Show a template that Chen approved, with an approval in Li's name that the server made up."""
    template = room.steady.template
    certificate = derive_certificate(template, room.world.features)
    genuine = room.tax.approval(template, certificate.digest, CHEN)
    as_li = load(room.tax.approval(template, certificate.digest, LI), Approval)
    forged = seal_statement(as_li, room.world.seeds.signing("the server"))
    return TemplateView(
        template=load(template, Template),
        envelope=template,
        certificate=certificate,
        features=room.world.features,
        statements={},
        charters={owner.name: owner.charter for owner in (room.tax, room.court)},
        approvals=(forged, genuine),
        certificates=(certificate.digest,),
    )


def test_what_is_signed_counts_beside_what_is_not() -> None:
    view = shown(sample())
    assert approved_by(view, "tax") == (CHEN,)
    assert forged_approvals(view, "tax") == (LI,)
    assert forged_approvals(view, "court") == ()


def test_whoever_looks_is_told() -> None:
    view = shown(sample())
    told = "\n".join(describe(view))
    assert f"approved by {CHEN}: 1 of the 2 needed" in told
    assert f"an approval by {LI} of tax that {LI} did not sign" in told
    document = json.loads(json.dumps(view_document(view), default=str))
    (tax,) = (each for each in document["parts"] if each["owner"] == "tax")
    assert (tax["approved_by"], tax["forged"]) == ([CHEN], [LI])
    listed = ListedTemplate(view.template, view.envelope.digest, view)
    assert "tax 1/2 forged" in listed_row(listed)[2]
    assert listed_document(listed)["forged"] == {"tax": (LI,)}
