"""Commands of an owner's key agent, and the measurement it accepts enclaves by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from saferoom_client.agent.attend import attend
from saferoom_client.agent.folder import (
    CARD,
    POLICY,
    PROFILE,
    EvidenceKind,
    KeyAgent,
    Policy,
)
from saferoom_client.cli.options import (
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
from saferoom_client.units import write_unit
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import Reason, SafeRoomError

app = group("Hold an owner's store key. 密钥代理。")

AgentFolder = Annotated[
    Path, typer.Argument(help="The key agent's folder. 密钥代理目录。", file_okay=False)
]


@app.command()
def init(
    folder: AgentFolder,
    *,
    room: RoomCardOption,
    owner: Annotated[str, typer.Option(help="The data owner. 数源单位。")],
    charter_root: Annotated[str, typer.Option(help="The owner's charter root key. 章程根公钥。")],
    code: Annotated[
        list[str] | None,
        typer.Option(help="An accepted digest of the code; else this one's. 接受的代码摘要。"),
    ] = None,
    dependencies: Annotated[
        list[str] | None,
        typer.Option(help="An accepted digest of the rest; else this one's. 接受的依赖摘要。"),
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(help="An accepted kind of evidence; else software. 接受的证据种类。"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key agent with fresh keys.

    Back its folder up: the store opens with it alone. 新建密钥代理。
    """
    policy = Policy(
        room=read_model(room, RoomCard).origin,
        owner=owner,
        charter_root=charter_root,
        code=tuple(code or (_measured_code(),)),
        dependencies=tuple(dependencies or (measure_dependencies(),)),
        evidence_kinds=tuple(cast("list[EvidenceKind]", evidence or ["software"])),
    )
    agent = KeyAgent.create(folder, policy)
    show(
        as_json,
        agent.card.model_dump(mode="json"),
        f"made the key agent of {owner} in {folder}",
        f"its public keys, for the charter: {folder / CARD}",
        f"next: saferoom issuer enrol ISSUER --organisation {owner} --name key-agent "
        f"--room {room} --out {folder / PROFILE}",
    )


@app.command()
def accept(
    folder: AgentFolder,
    code: Annotated[
        list[str] | None,
        typer.Option(help="A digest of the code; else this one's. 代码摘要。"),
    ] = None,
    dependencies: Annotated[
        list[str] | None,
        typer.Option(help="A digest of the rest; else this one's. 依赖摘要。"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept another version of the code, before an upgrade; it counts at once.

    接受新版本的代码。
    """
    policy = KeyAgent.load(folder).accept(
        code or (_measured_code(),), dependencies or (measure_dependencies(),)
    )
    show(
        as_json,
        policy.model_dump(mode="json"),
        f"{len(policy.code)} versions of the code and {len(policy.dependencies)} of what it needs "
        "are accepted",
        f"to accept one no longer, take its digest out of {folder / POLICY}",
    )


@app.command()
def require(
    folder: AgentFolder,
    supervisor: Annotated[
        list[str],
        typer.Option(help="A supervisor's public key, from enclave init. 监管程序公钥。"),
    ],
    as_json: JsonOption = False,
) -> None:
    """Give the key from now on only to enclaves that this supervisor started.

    仅接受指定监管程序启动的飞地。
    """
    policy = KeyAgent.load(folder).require(supervisor)
    show(
        as_json,
        policy.model_dump(mode="json"),
        f"supervisors that may start the enclave of {policy.owner}: {len(policy.supervisors)}; "
        "it counts at once",
        f"to drop one, take its key out of {folder / POLICY}",
    )


@app.command()
def run(folder: AgentFolder, as_json: JsonOption = False) -> None:
    """Attend to the room and give the enclave its key, until stopped.

    值守。
    """
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
    """Write the systemd unit that runs the agent with as little as it needs.

    写出密钥代理的 systemd 单元。
    """
    owner = KeyAgent.load(folder).policy.owner
    written = write_unit(out, "key-agent", folder, user, {"owner": owner}, suffix=f"-{owner}")
    show_units(as_json, written, folder, user)


def measure(as_json: JsonOption = False) -> None:
    """Give the digests of this code, which key agents accept enclaves by.

    度量代码。
    """
    document = {"code": _measured_code(), "dependencies": measure_dependencies()}
    show(as_json, document, *mapping(document))


def _measured_code() -> str:
    try:
        return measure_code()
    except SafeRoomError as error:
        raise SafeRoomError(Reason.NOT_INSTALLED, error.detail) from error
