"""Commands of an owner that runs its enclave on its own premises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.agent.folder import STATE, AgentState
from saferoom_client.challenge import ShownEvidence
from saferoom_client.cli.charter_roots import read_handover, show_pinned
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    ProfileOption,
    RoomCardOption,
    UnitsFolder,
    UserOption,
    WhyOption,
    group,
)
from saferoom_client.cli.output import in_one_line, moment, show, show_units
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.files import read_model
from saferoom_client.premises.home import EXCHANGE, Home, HomeConfig
from saferoom_client.premises.supervise import measured_here, supervise
from saferoom_client.profile import RoomCard
from saferoom_client.recovery import Decided
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tdx import TdxPolicy, TdxVerifier
from saferoom_client.tongue import say
from saferoom_client.units import plain, write_unit
from saferoom_proto.attestation import QuoteVerifier
from saferoom_proto.reasons import Reason, SafeRoomError

app = group("Run an owner's enclave on its premises.")

HomeFolder = Annotated[Path, typer.Argument(help="The enclave's folder.", file_okay=False)]


@app.command()
def init(
    folder: HomeFolder,
    *,
    room: RoomCardOption,
    owner: Annotated[str, typer.Option(help="The data owner.")],
    charter_root: Annotated[str, typer.Option(help="The owner's charter root key.")],
    exchange: Annotated[
        Path | None,
        typer.Option(
            help="A folder shared with the relay's user; else one inside.",
            file_okay=False,
        ),
    ] = None,
    broker: Annotated[
        Path | None,
        typer.Option(
            help="A folder shared with its broker's user, where it has a broker.",
            file_okay=False,
        ),
    ] = None,
    memory_mib: Annotated[int, typer.Option(min=256, help="The most address space.")] = 4096,
    sandbox: Annotated[bool, typer.Option(help="Without it, for development only.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make the folder of an enclave that the owner runs, and its supervisor's key."""
    home = Home.create(
        folder,
        HomeConfig(
            room=read_model(room, RoomCard).origin,
            owner=owner,
            charter_root=charter_root,
            exchange=EXCHANGE if exchange is None else str(exchange.resolve()),
            broker=None if broker is None else str(broker.resolve()),
            max_memory_mib=memory_mib,
            sandbox=sandbox,
        ),
    )
    key = home.key.verify_key.public
    show(
        as_json,
        {
            "owner": owner,
            "supervisor": key,
            "exchange": str(home.exchange.folder),
            "broker": None if home.broker is None else str(home.broker),
        },
        say("made the enclave's folder of {owner} in {folder}", owner=owner, folder=folder),
        say("its supervisor's key: {key}", key=key),
        say("next: saferoom agent require AGENT --supervisor {key}", key=key),
        say("then: saferoom enclave run {folder}", folder=folder),
        say("and: saferoom relay run {folder} -p PROFILE", folder=home.exchange.folder),
        *(
            [say('for its broker: socket = "{socket}" in broker.toml', socket=home.broker)]
            if home.broker is not None
            else []
        ),
    )


@app.command()
def run(folder: HomeFolder, as_json: JsonOption = False) -> None:
    """Run the enclave, and start it again whenever it ends, until stopped."""
    home = Home.load(folder)
    measured_here()
    run_until_told(supervise(home, on_event=teller(as_json)))


@app.command()
def follow(
    folder: HomeFolder,
    handover: InputFile,
    as_json: JsonOption = False,
) -> None:
    """Go by the charter root that the pinned one handed over to; it counts at once."""
    show_pinned(Home.load(folder).follow(read_handover(handover)), as_json=as_json)


@app.command()
def evidence(
    owner: Annotated[str, typer.Argument(help="Whose enclave.")],
    profile: ProfileOption,
    *,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Accept nothing but hardware's word.")
    ] = False,
    tdx_policy: Annotated[
        Path | None, typer.Option(help="Which TDX images count: JSON, as in agent.json.")
    ] = None,
    tdx_collateral: Annotated[
        Path | None, typer.Option(help="Intel's collateral for the platform: JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Challenge an owner's enclave, and verify what it shows that it is."""
    verifiers = _verifiers(tdx_policy, tdx_collateral)
    with Room.open(profile) as room:
        shown = room.get_evidence(owner, hardware=hardware, verifiers=verifiers)
    claims = shown.claims
    document = {
        "owner": owner,
        "kind": shown.kind,
        "hardware": shown.is_hardware,
        "code": claims.code,
        "dependencies": claims.dependencies,
        "python": claims.python,
        "charter": claims.charter,
        "sandbox_level": claims.sandbox_level,
        "sandbox_missing": list(claims.sandbox_missing),
        "endorsed_until": shown.endorsement.valid_to.isoformat(),
    }
    missing = in_one_line(", ".join(claims.sandbox_missing)) or say("nothing")
    show(
        as_json,
        document,
        _vouched(shown),
        say("code {code}", code=claims.code),
        say("dependencies {dependencies}", dependencies=claims.dependencies),
        say("charter {charter}", charter=claims.charter),
        say(
            "sandbox level {level}; missing: {missing}",
            level=claims.sandbox_level,
            missing=missing,
        ),
        say(
            "endorsed by the owner's key agent until {until}",
            until=moment(shown.endorsement.valid_to),
        ),
    )


def _verifiers(policy: Path | None, collateral: Path | None) -> dict[str, QuoteVerifier]:
    if policy is None and collateral is None:
        return {}
    if policy is None or collateral is None:
        detail = "--tdx-policy and --tdx-collateral go together"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)
    try:
        told = collateral.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{collateral}: not readable") from error
    return {"tdx": TdxVerifier(read_model(policy, TdxPolicy), told, utc_now())}


def _vouched(shown: ShownEvidence) -> str:
    if shown.is_hardware:
        return say("{kind} evidence: hardware vouches for all of this", kind=shown.kind)
    return say("software evidence: whoever holds the endorsed key says all of this")


@app.command()
def recover(
    profile: ProfileOption,
    why: WhyOption,
    *,
    agent: Annotated[
        Path | None,
        typer.Option(help="The key agent's folder, where the room's log is behind, too."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say that your enclave goes on from the older copy it was found with, or from an empty folder.

    It does once as many approvers said so as approve. Budgets of the periods up to now count as
    spent: load your data anew, which opens the next period.
    """
    seen = AgentState() if agent is None else read_model(agent / STATE, AgentState)
    with Room.open(profile) as room:
        decided = room.recover_enclave(why, None if agent is None else seen.chain, seen.last_epoch)
    says = decided.recovery
    document = {
        "owner": says.owner,
        "found": says.found.index,
        "follows": says.follows.index,
        "last_epoch": says.last_epoch,
        "recovery": decided.recorded.statement.digest,
        "goes_on": decided.goes_on,
        "said_so": list(decided.said_by),
        "needed": decided.needed,
    }
    show(
        as_json,
        document,
        say(
            "the enclave of {owner} forgot {lost:,} entries of its chain, from {found:,} on",
            owner=says.owner,
            lost=says.follows.index - says.found.index,
            found=says.found.index,
        ),
        say(
            "{by} of {needed} approvers let it go on; budgets up to period {epoch} count as spent",
            by=len(decided.said_by),
            needed=decided.needed,
            epoch=says.last_epoch,
        ),
        _next(decided),
    )


def _next(decided: Decided) -> str:
    if decided.goes_on:
        return say("it goes on once its key agent gave it its key; then load your data anew")
    return say("next, another approver: saferoom enclave recover --why WHY")


@app.command()
def units(
    folder: HomeFolder,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom-enclave",
    memory_mib: Annotated[int, typer.Option(min=512, help="The most memory.")] = 6144,
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the enclave, with no network and little else."""
    home = Home.load(folder)
    owner = home.config.owner
    settings = {
        "owner": owner,
        "memory_mib": str(memory_mib),
        "exchange": " ".join(
            plain(each.parent if each == home.broker else each)
            for each in (home.exchange.folder, home.broker)
            if each is not None
        ),
    }
    written = write_unit(out, "enclave", folder, user, settings, suffix=f"-{owner}")
    show_units(as_json, written, folder, user)
