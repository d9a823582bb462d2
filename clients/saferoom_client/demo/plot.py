"""What a server that was taken over will try, prepared as files for `saferoom.dishonest`.

altered-template.json     an approved template with its formula changed after the approval
altered-certificate.json  its release certificate, as the enclave would derive it
altered-question.json     bank-a's own signed question that names it (bank and server collude)
altered-again.json        another one, for another attempt
genuine-question.json     a signed question that would be answered: the server changes its subject
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from saferoom_client.profile import Profile
from saferoom_client.question import make_question
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Purpose, Template, seal_statement


@dataclass(frozen=True, slots=True)
class Plot:
    """The statements by file name."""

    files: dict[str, Envelope]

    @classmethod
    def make(
        cls,
        bank: Profile,
        altered: Template,
        honest: TemplateView,
        subject: str,
        params: Mapping[str, str],
    ) -> Self:
        """Prepare the attempts, as a bank that plays along would.

        Args:
            bank: the colluding institution's member.
            altered: the honest template with its formula changed.
            honest: the template that was approved.
            subject: about whom to ask.
            params: what the honest template is asked with.
        """
        template = seal_statement(altered, bank.signing_key)
        charters = {owner: each.digest for owner, each in honest.charters.items()}
        certificate = derive_certificate(template, honest.features, charters)
        view = TemplateView(
            template=altered,
            envelope=template,
            certificate=certificate,
            features=honest.features,
            statements=honest.statements,
            charters=honest.charters,
            approvals=honest.approvals,
            certificates=(certificate.digest,),
        )
        return cls(
            {
                "altered-template.json": template,
                "altered-certificate.json": seal_statement(certificate, bank.signing_key),
                "altered-question.json": _question(bank, view, subject, {}),
                "altered-again.json": _question(bank, view, subject, {}),
                "genuine-question.json": _question(bank, honest, subject, params),
            }
        )

    def save(self, folder: Path) -> None:
        """Write the files."""
        folder.mkdir(mode=0o700)
        for name, envelope in self.files.items():
            (folder / name).write_bytes(envelope.to_json())


def _question(
    bank: Profile, view: TemplateView, subject: str, params: Mapping[str, str]
) -> Envelope:
    return make_question(
        bank,
        view,
        subject=subject,
        purpose=Purpose.PRE_LOAN,
        params=params,
        now=datetime.now(UTC),
    ).envelope
