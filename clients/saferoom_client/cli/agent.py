"""Commands of an owner's key agent, and the measurement it accepts enclaves by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast

import typer

from saferoom_client.agent import heard
from saferoom_client.agent.attend import attend
from saferoom_client.agent.folder import (
    CARD,
    POLICY,
    PROFILE,
    KeyAgent,
    Policy,
)
from saferoom_client.agent.rotation import change_store_key, prepare_agent_keys
from saferoom_client.cli.charter_roots import read_handover, show_pinned
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    RoomCardOption,
    UnitsFolder,
    UserOption,
    group,
)
from saferoom_client.cli.output import mapping, show, show_units
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.files import read_model
from saferoom_client.profile import RoomCard
from saferoom_client.tongue import say
from saferoom_client.units import write_unit
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.enclave import EvidenceKind
from saferoom_proto.store_key import name_of

app = group("Hold an owner's store key.")

AgentFolder = Annotated[Path, typer.Argument(help="The key agent's folder.", file_okay=False)]


@app.command()
def init(
    folder: AgentFolder,
    *,
    room: RoomCardOption,
    owner: Annotated[str, typer.Option(help="The data owner.")],
    charter_root: Annotated[str, typer.Option(help="The owner's charter root key.")],
    code: Annotated[
        list[str] | None,
        typer.Option(help="An accepted digest of the code; else this one's."),
    ] = None,
    dependencies: Annotated[
        list[str] | None,
        typer.Option(help="An accepted digest of the rest; else this one's."),
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(help="An accepted kind of evidence; else software."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="The PKCS #11 URI of a token that is to hold the keys; else files do."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key agent with fresh keys.

    Back its folder up, or its token: the store opens with it alone.
    """
    policy = Policy(
        room=read_model(room, RoomCard).origin,
        owner=owner,
        charter_root=charter_root,
        code=tuple(code or (_measured_code(),)),
        dependencies=tuple(dependencies or (measure_dependencies(),)),
        evidence_kinds=tuple(cast("list[EvidenceKind]", evidence or ["software"])),
        token=token,
    )
    agent = KeyAgent.create(folder, policy)
    show(
        as_json,
        agent.card.model_dump(mode="json"),
        say("made the key agent of {owner} in {folder}", owner=owner, folder=folder),
        say("its public keys, for the charter: {card}", card=folder / CARD),
        say(
            "next: saferoom issuer enrol ISSUER --organisation {owner} --name key-agent"
            " --room {room} --out {profile}",
            owner=owner,
            room=room,
            profile=folder / PROFILE,
        ),
    )


@app.command()
def accept(
    folder: AgentFolder,
    code: Annotated[
        list[str] | None,
        typer.Option(help="A digest of the code; else this one's."),
    ] = None,
    dependencies: Annotated[
        list[str] | None,
        typer.Option(help="A digest of the rest; else this one's."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept another version of the code, before an upgrade; it counts at once."""
    policy = KeyAgent.load(folder).accept(
        code or (_measured_code(),), dependencies or (measure_dependencies(),)
    )
    show(
        as_json,
        policy.model_dump(mode="json"),
        say(
            "{codes} versions of the code and {dependencies} of what it needs are accepted",
            codes=len(policy.code),
            dependencies=len(policy.dependencies),
        ),
        say("to accept one no longer, take its digest out of {policy}", policy=folder / POLICY),
    )


@app.command()
def require(
    folder: AgentFolder,
    supervisor: Annotated[
        list[str],
        typer.Option(help="A supervisor's public key, from enclave init."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Give the key from now on only to enclaves that this supervisor started."""
    policy = KeyAgent.load(folder).require(supervisor)
    show(
        as_json,
        policy.model_dump(mode="json"),
        say(
            "supervisors that may start the enclave of {owner}: {count}; it counts at once",
            owner=policy.owner,
            count=len(policy.supervisors),
        ),
        say("to drop one, take its key out of {policy}", policy=folder / POLICY),
    )


@app.command()
def follow(
    folder: AgentFolder,
    handover: InputFile,
    as_json: JsonOption = False,
) -> None:
    """Go by the charter root that the pinned one handed over to; it counts at once."""
    show_pinned(KeyAgent.load(folder).follow(read_handover(handover)), as_json=as_json)


@app.command()
def rotate(
    folder: AgentFolder,
    *,
    own_keys: Annotated[
        bool,
        typer.Option("--own-keys", help="The agent's own keys instead, for the next charter."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Change the store's key: the enclave goes over to the new one, and answers on."""
    agent = KeyAgent.load(folder)
    if own_keys:
        card = prepare_agent_keys(agent)
        show(
            as_json,
            card.model_dump(mode="json"),
            say("made new keys of the agent; their public halves: {card}", card=folder / CARD),
            say("next: put key_agent and pairing from it into the next version of the charter"),
        )
        return
    changed = change_store_key(agent)
    show(
        as_json,
        {
            "store_key": name_of(changed.store_key, agent.signing.suite),
            "former": name_of(agent.store_key, agent.signing.suite),
        },
        say("made a new store key; a running agent has the enclave go over to it at once"),
        say("next, when it has: saferoom agent retire {folder}", folder=folder),
    )


@app.command()
def retire(folder: AgentFolder, as_json: JsonOption = False) -> None:
    """Throw the former store key away, once the log shows that the enclave went over."""
    said = asyncio.run(heard.retire(KeyAgent.load(folder)))
    show(
        as_json,
        {"changed": None if said is None else said.time},
        say("the former store key is gone"),
        say("next: back the agent up anew; its older backups open nothing that comes"),
    )


@app.command()
def run(folder: AgentFolder, as_json: JsonOption = False) -> None:
    """Attend to the room and give the enclave its key, until stopped."""
    agent = KeyAgent.load(folder)

    run_until_told(attend(agent, on_event=teller(as_json)))


@app.command()
def units(
    folder: AgentFolder,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom-agent",
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the agent with as little as it needs."""
    owner = KeyAgent.load(folder).policy.owner
    written = write_unit(out, "key-agent", folder, user, {"owner": owner}, suffix=f"-{owner}")
    show_units(as_json, written, folder, user)


def measure(as_json: JsonOption = False) -> None:
    """Give the digests of this code, which key agents accept enclaves by."""
    document = {"code": _measured_code(), "dependencies": measure_dependencies()}
    show(as_json, document, *mapping(document))


def _measured_code() -> str:
    try:
        return measure_code()
    except SafeRoomError as error:
        raise SafeRoomError(Reason.NOT_INSTALLED, error.detail) from error
