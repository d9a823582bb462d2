"""Act 9 of the demo: what real firms would show, on firms of a city that does not exist."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

from saferoom_city.days import Days
from saferoom_city.pages import Filling, choose_pages
from saferoom_client.demo.consenting import grant
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import APPROVERS, THRESHOLD, Stage
from saferoom_client.drafts import read_feature, read_template
from saferoom_client.profile import Profile
from saferoom_client.records.annex import TableForm, catalogue
from saferoom_client.records.collecting import Rejects, collected
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.offers import offers
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_client.values import LoadReport
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.statements import Purpose

OWNER: Final = "bills"
HELD: Final = "statements"
"""What the owner holds by now; a load brings it again, for it brings every table."""
TYPE: Final = "12.2"
TABLES: Final = ("util_electricity", "util_electricity_breach_usage")
FEATURES: Final = ("power_monthly_12m", "power_breach")
CHECK: Final = "power-in-order"
HANDLE: Final = "power"
"""Whom the check asks, as it is offered; here that is `OWNER`."""
BILL: Final = 3000

FIRMS: Final = 200
SEED: Final = 7
AS_OF: Final = date(2026, 6, 30)


@dataclass(frozen=True, slots=True)
class Firms:
    """The city's files, and two of its firms.

    Attributes:
        files: by table.
        large: one whose bill is as high as is asked, and that is in no breach of contract.
        small: one whose bill is lower.
    """

    files: dict[str, Path]
    large: str
    small: str


def show_city(stage: Stage, screen: Screen) -> None:
    """Load firms of a city, have an offered check approved over them, and ask it about two."""
    screen.act(say("Firms of a made-up city, and a check that banks usually ask"))
    forms = [each for each in catalogue().type(TYPE).tables if each.name in TABLES]
    firms = _make(stage.folder / "city", forms)
    _load(stage, screen, firms, forms)
    _approve(stage, screen)
    trust = Profile.load(stage.member("auditor", "desk")).trust
    for subject, expected in ((firms.large, Truth.YES), (firms.small, Truth.NO)):
        stage.enrol(subject, "self")
        grant(stage, subject, tuple(f"{OWNER}.{name}" for name in FEATURES))
        with stage.open("bank-a", "desk") as bank:
            asked = {"bill": str(BILL)}
            answer = bank.check(CHECK, subject=subject, purpose=Purpose.PRE_LOAN, params=asked)
        if verify_receipt(answer.receipt, trust).answer is not expected:
            raise SafeRoomError(Reason.INTERNAL, f"{answer.truth} is not what the city's file says")
        about = say("{check} about {subject}", check=CHECK, subject=subject)
        bits = say("[dim]at most {bits:.2f} bits; its receipt verifies[/]", bits=answer.bits)
        screen.answered(about, answer.truth, bits)


def _make(folder: Path, forms: Sequence[TableForm]) -> Firms:
    """Make the city's firms as `saferoom city` does: the same bytes."""
    folder.mkdir()
    pages = [each for each in choose_pages((TYPE,)) if each.table in TABLES]
    made = Filling(SEED, Days(AS_OF), pages).fill(0, FIRMS)
    files = {each.table: folder / f"{each.table}.csv" for each in pages}
    rows: dict[str, list[dict[str, str]]] = {}
    for page in pages:
        lines = made[page.table][0]
        files[page.table].write_bytes(page.heading.encode() + lines)
        (form,) = (each for each in forms if each.name == page.table)
        names = [column.name for column in form.columns]
        rows[page.table] = list(csv.DictReader(lines.decode().splitlines(), names))
    used, breaches = (rows[name] for name in TABLES)
    bills = {each["uscc"]: Decimal(each["avg_power_amount_12m"]) for each in used}
    in_order = bills.keys() - {each["uscc"] for each in breaches}
    large = next(code for code, bill in bills.items() if bill >= BILL and code in in_order)
    small = next(code for code, bill in bills.items() if bill < BILL)
    return Firms(files, large, small)


def _load(stage: Stage, screen: Screen, firms: Firms, forms: Sequence[TableForm]) -> None:
    """Put the catalogue's tables beside those that the owner has, and load all of them."""
    with stage.open(OWNER, APPROVERS[0]) as room:
        newest = room.get_schema()
        if newest is None:
            raise SafeRoomError(Reason.INTERNAL, f"{OWNER} has no schema")
        tables = draft_tables(forms, (), newest[0].tables)
        changes = {"version": newest[0].version + 1, "tables": tables}
        schema = room.put_schema(newest[0].model_copy(update=changes)).statement.digest
        for name in FEATURES:
            draft = offers().feature(name).draft(AS_OF)
            room.put_feature(read_feature(_written(stage, f"{OWNER}.{name}", draft), room.profile))
        report = _loaded(room, schema, stage.file(f"{OWNER}.csv"), firms)
    if report.snapshot is None:
        raise SafeRoomError(Reason.INTERNAL, f"{report.bad_row_count} bad rows")
    screen.done(
        say(
            "{owner}: {rows:,} rows of power bills of {firms} firms that do not exist, under the"
            " catalogue's headings, held to its rules; features {features} as it offers them",
            owner=OWNER,
            rows=sum(report.snapshot.rows[name] for name in TABLES),
            firms=FIRMS,
            features=", ".join(FEATURES),
        )
    )


def _loaded(room: Room, schema: str, held: Path, firms: Firms) -> LoadReport:
    known = room.get_schema()
    tables = [] if known is None else [each for each in known[0].tables if each.name in TABLES]
    files = {name: str(path) for name, path in firms.files.items()}
    rejects = Rejects(None, str, ())
    with collected(tables, files, rejects, progress=lambda _: None) as found:
        if found.bad:
            raise SafeRoomError(Reason.INTERNAL, f"{found.bad} bad rows of the city")
        return room.load_data(schema, {HELD: held, **found.files})


def _approve(stage: Stage, screen: Screen) -> None:
    draft = offers().check(CHECK).draft({HANDLE: OWNER})
    path = _written(stage, CHECK, draft)
    with stage.open("bank-a", "desk") as bank:
        template = read_template(path, bank.profile)
        digest = bank.propose_template(template).recorded.statement.digest
    stage.approve(OWNER, digest)
    screen.done(
        say(
            "{name}, as the catalogue offers it: [italic]{check}[/]; approved by {threshold} of"
            " {approvers}",
            name=CHECK,
            check=template.check,
            threshold=THRESHOLD,
            approvers=len(APPROVERS),
        )
    )


def _written(stage: Stage, name: str, draft: dict[str, object]) -> Path:
    path = stage.file(f"{name}.yaml")
    path.write_text(write_yaml(draft), "utf-8")
    return path
