"""Commands about charters."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.agent.folder import AgentCard
from saferoom_client.cli import charter_roots
from saferoom_client.cli.charter_roots import RootKey, put_handover, read_root
from saferoom_client.cli.limits_words import level_in_words
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    NewFile,
    ProfileOption,
    RoomCardOption,
    SuiteOption,
    group,
    pairs,
    require_suite,
)
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.witness_keys import (
    MAX_AGE_SECONDS,
    AgeOption,
    ThresholdOption,
    WitnessOption,
    read_policy,
)
from saferoom_client.drafts import read_charter, write_draft
from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    read_file,
    read_model,
    refuse_existing,
    write_file,
)
from saferoom_client.profile import RoomCard, read_signer
from saferoom_client.room import Room
from saferoom_client.tongue import say, titled
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import (
    Approver,
    Charter,
    IdentityIssuer,
    LevelLimits,
    RoomKeys,
    RootHandover,
    Title,
    load,
    seal_statement,
)
from saferoom_proto.suite import Suite
from saferoom_proto.verification import open_charter

app = group("Write and show charters.")
app.add_typer(charter_roots.app)
_HANDOVER = RootHandover.payload_type()

LIMITS = (("0", "0"), ("3.17", "12"), ("3.17", "12"), ("3", "6"))
"""A draft's bits per feature in a period, and per family in 36 months, by level 1 to 4.

3.17 bits are 9 cells: the widest grid's eight bands, and "not found".
"""


@app.command()
def root(
    path: Annotated[Path, typer.Argument(help="The key file to make.")],
    suite: SuiteOption = Suite.INTERNATIONAL,
    as_json: JsonOption = False,
) -> None:
    """Make a charter root key; whoever is to trust the charter pins its public half."""
    refuse_existing(path)
    require_suite(suite)
    key = SigningKey.generate(suite)
    write_file(path, key.to_pem())
    public = key.verify_key.public
    show(as_json, {"file": str(path), "root": public}, public)


@app.command()
def init(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    *,
    room: RoomCardOption,
    root: RootKey,
    agent: Annotated[Path, typer.Option(help="The key agent's agent-card.json.", exists=True)],
    issuer: Annotated[
        list[Path], typer.Option(help="An identity issuer's issuer.json.", exists=True)
    ],
    approver: Annotated[
        list[str], typer.Option(help="NAME=SIGNING.PEM of an approver; repeat it.")
    ],
    out: NewFile,
    title_en: Annotated[str, typer.Option(help="The owner's name in English.")],
    title_zh: Annotated[str, typer.Option(help="The owner's name in Chinese.")],
    registrar: Annotated[
        list[str],
        typer.Option(help="Who may register consents on paper; repeat it."),
    ] = [],  # noqa: B006 - Typer copies it
    threshold: Annotated[int, typer.Option(min=1, help="How many approvers must sign.")] = 1,
    sandbox_level: Annotated[
        int, typer.Option(min=0, max=3, help="The weakest sandbox accepted.")
    ] = 2,
    witness: WitnessOption = [],  # noqa: B006 - Typer copies it
    witness_threshold: ThresholdOption = None,
    witness_age: AgeOption = MAX_AGE_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Write the draft of a first charter, to be read and changed before it is signed."""
    refuse_existing(out)
    card, keys = read_model(room, RoomCard), read_model(agent, AgentCard)
    approvers, key = pairs(approver, "NAME=SIGNING.PEM"), read_root(root)
    charter = Charter(
        room=card.origin,
        owner=owner,
        title=Title(en=title_en, zh=title_zh),
        version=1,
        previous=None,
        suite=key.suite.value,
        root=key.verify_key.public,
        approvers=tuple(
            Approver(name=name, key=read_signer(Path(path)).key) for name, path in approvers.items()
        ),
        threshold=threshold,
        issuers=tuple(read_model(path, IdentityIssuer) for path in issuer),
        registrars=tuple(registrar),
        key_agent=keys.key_agent,
        pairing=keys.pairing,
        room_keys=RoomKeys(ledger=card.ledger_key, heads=card.heads_key),
        max_head_age_seconds=60,
        min_sandbox_level=sandbox_level,
        release_tick_milliseconds=5,
        limits=_draft_limits(),
        witnesses=read_policy(witness, witness_threshold, witness_age),
    )
    write_file(out, write_draft(charter).encode(), PUBLIC_FILE)
    show(
        as_json,
        {"file": str(out)},
        say(
            "wrote {out}; read it, then: saferoom charter put {out} --root {root}",
            out=out,
            root=root,
        ),
        *_levels(charter),
    )


@app.command()
def sign(
    draft: InputFile,
    root: RootKey,
    room: RoomCardOption,
    out: NewFile,
    as_json: JsonOption = False,
) -> None:
    """Sign a charter's draft with its root, where the root is kept: this needs no connection."""
    refuse_existing(out)
    card = read_model(room, RoomCard)
    statement = _signed(draft, root, card.origin)
    write_file(out, statement.to_json() + b"\n", PUBLIC_FILE)
    show(
        as_json,
        {"file": str(out), "charter": statement.digest},
        say("signed {digest}, in {out}", digest=statement.digest, out=out),
        say("next, as one of the owner's members: saferoom charter put {out}", out=out),
    )


@app.command()
def put(
    file: InputFile,
    profile: ProfileOption,
    root: Annotated[
        Path | None,
        typer.Option("--root", help="The charter root's key file.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand in a signed charter, the first or the next one; or a draft, signed here with --root.

    A handover of the root is handed in the same way, signed by both roots.
    """
    if root is None and (statement := _read_signed(file)).payload_type == _HANDOVER:
        put_handover(statement, profile, as_json=as_json)
        return
    with Room.open(profile) as room:
        if root is None:
            statement = _read_signed(file)
        else:
            statement = _signed(file, root, room.profile.card.origin)
        charter = load(statement, Charter)
        open_charter(statement, charter.root)
        room.pin(charter.owner, charter.root)
        recorded = room.put_charter(statement)
    digest = recorded.statement.digest
    show(
        as_json,
        {"owner": charter.owner, "version": charter.version, "charter": digest},
        say(
            "recorded version {version} of the charter of {owner}: {digest}",
            version=charter.version,
            owner=charter.owner,
            digest=digest,
        ),
        say(
            "next: saferoom room status shows its enclave serving, once its key agent has"
            " given it the key"
        ),
    )


@app.command(name="show")
def show_(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show an owner's charter in force, verified under its pinned root."""
    with Room.open(profile) as room:
        pinned = room.get_charter(owner)
    charter = pinned.charter
    document = {"digest": pinned.digest, **charter.model_dump(mode="json")}
    show(
        as_json,
        document,
        *mapping(
            {
                "owner": f"{charter.owner}  {titled(charter.title)}",
                "version": charter.version,
                "digest": pinned.digest,
                "root": charter.root,
                "approvers": say(
                    "{threshold} of {names}",
                    threshold=charter.threshold,
                    names=", ".join(each.name for each in charter.approvers),
                ),
                "identity issuers": ", ".join(each.name for each in charter.issuers),
                "registrars": ", ".join(charter.registrars) or say("none"),
                "key agent": charter.key_agent,
                "head age": say(
                    "at most {max_head_age_seconds} s",
                    max_head_age_seconds=charter.max_head_age_seconds,
                ),
                "sandbox": say(
                    "level {min_sandbox_level} or above",
                    min_sandbox_level=charter.min_sandbox_level,
                ),
                **_witnesses(charter),
                **{
                    say("level {level}", level=limit.level): say(
                        "{words} ({feature_bits} and {family_bits} bits)",
                        words=level_in_words(limit),
                        feature_bits=limit.feature_bits,
                        family_bits=limit.family_bits,
                    )
                    for limit in charter.limits
                },
            }
        ),
    )


def _draft_limits() -> tuple[LevelLimits, ...]:
    return tuple(
        LevelLimits(level=level, feature_bits=Decimal(one), family_bits=Decimal(many))
        for level, (one, many) in enumerate(LIMITS, start=1)
    )


def _levels(charter: Charter) -> list[str]:
    return [
        say("  level {level}: {words}", level=limit.level, words=level_in_words(limit))
        for limit in charter.limits
    ]


def _witnesses(charter: Charter) -> dict[str, str]:
    policy = charter.witnesses
    if policy is None:
        return {}
    told = say(
        "{threshold} of {names}, in the last {seconds} s",
        threshold=policy.threshold,
        names=", ".join(key.name for key in policy.keys),
        seconds=policy.max_age_seconds,
    )
    return {"witnesses": told}


def _signed(draft: Path, root: Path, room: str) -> Envelope:
    key = read_root(root)
    charter = read_charter(draft, room, key.suite)
    if charter.root != key.verify_key.public:
        raise bad_file(draft, f"its root is not the key in {root}")
    return seal_statement(charter, key)


def _read_signed(file: Path) -> Envelope:
    try:
        return Envelope.from_json(read_file(file))
    except SafeRoomError as error:
        rule = say("not a signed charter: sign it with `charter sign`, or give --root")
        raise bad_file(file, rule) from error
