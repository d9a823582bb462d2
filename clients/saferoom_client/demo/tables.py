"""Act 8 of the demo: a bank is told of all borrowers together, and of none."""

from __future__ import annotations

from typing import Final

from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import APPROVERS, THRESHOLD, Stage
from saferoom_client.drafts import read_template
from saferoom_client.profile import Profile
from saferoom_client.table_page import write_page
from saferoom_client.table_words import count_withheld, of_all
from saferoom_client.tongue import say
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Purpose
from saferoom_proto.tables.receipt import TableReceipt, verify_table_receipt

OWNER: Final = "repay"
TEMPLATE: Final = "delays"


def tabulate(stage: Stage, screen: Screen) -> None:
    """Propose tables, have them approved, ask for them, and verify their receipt."""
    screen.act(say("A bank asks for tables of all borrowers together"))
    with stage.open("bank-a", "desk") as bank:
        template = read_template(stage.file(f"{TEMPLATE}.yaml"), bank.profile)
        proposal = bank.propose_template(template)
    digest = proposal.recorded.statement.digest
    stage.approve(OWNER, digest)
    screen.done(
        say(
            "{name}: how many borrowers by each of two delays; no number about fewer than ten;"
            " approved by {threshold} of {approvers}",
            name=TEMPLATE,
            threshold=THRESHOLD,
            approvers=len(APPROVERS),
        )
    )
    with stage.open("bank-a", "desk") as bank:
        answer = bank.tabulate(digest, purpose=Purpose.PRODUCT_DESIGN)
    tables = answer.verified.tables
    if tables is None:
        raise SafeRoomError(Reason.INTERNAL, f"the tables were refused: {answer.refused}")
    _, withheld = count_withheld(tables)
    if not withheld:
        raise SafeRoomError(Reason.INTERNAL, "a table with an empty cell withholds none")
    screen.done(
        say(
            "{numbers}: the cells of few, and those that they could be reckoned from",
            numbers=of_all(tables),
        )
    )
    page, receipt = stage.folder / "tables.html", stage.folder / "tables.json"
    page.write_text(write_page(answer), "utf-8")
    receipt.write_bytes(answer.receipt.to_json())
    trust = Profile.load(stage.member("auditor", "desk")).trust
    verify_table_receipt(TableReceipt.from_json(receipt.read_bytes()), trust)
    screen.done(
        say(
            "{page}: the tables drawn; {receipt} verifies offline, with no network",
            page=page.relative_to(stage.folder),
            receipt=receipt.relative_to(stage.folder),
        )
    )
