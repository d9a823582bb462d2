"""The `saferoom` command.

A command's module is imported when it is called, so that help comes at once and the commands of a
light client need nothing of the room's own software.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from saferoom_client.cli.output import print_error, wants_json
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

FAILED: Final = 1


class _Entry(NamedTuple):
    """A command: where it is, and one line about it."""

    place: str
    about: str


_COMMANDS: Final = {
    "demo": _Entry("saferoom_client.demo:run", "Open a room and run the main job. 演示。"),
    "sandbox": _Entry(
        "saferoom_client.sandbox.run:run", "Open a room of made-up firms to test by. 沙箱。"
    ),
    "room": _Entry("room:app", "Make and run a room; see how it does. 开设和运行房间。"),
    "issuer": _Entry("issuer:app", "Name people, systems and subjects. 身份签发。"),
    "org": _Entry("org:app", "Enrol and list organisations. 机构登记。"),
    "whoami": _Entry("org:whoami", "Ask whom the room takes you for. 查看本人身份。"),
    "trust": _Entry("trust:app", "Pin the charter roots of owners. 固定各数源单位的根。"),
    "agent": _Entry("agent:app", "Hold an owner's store key. 密钥代理。"),
    "enclave": _Entry("enclave:app", "Run an owner's enclave on its premises. 自行运行飞地。"),
    "relay": _Entry("relay:app", "Connect it to the room. 中继。"),
    "charter": _Entry("charter:app", "Write and show charters. 章程。"),
    "schema": _Entry("feature:schema_app", "Hand in the tables of a store. 表结构。"),
    "feature": _Entry("feature:app", "Try, add and list features. 特征指标。"),
    "data": _Entry("data:app", "Load data, list its versions, go back. 数据装载与回退。"),
    "template": _Entry("template:app", "Propose, judge and approve templates. 作业模板。"),
    "agreement": _Entry("agreement:app", "Agree on the use of data. 数据共享协议。"),
    "consent": _Entry("consent:app", "Grant and take back consents. 授权。"),
    "mine": _Entry("mine:mine", "See what is held about you, and who used it. 本人查询。"),
    "dispute": _Entry("dispute:app", "Say that a use or a record is wrong. 异议。"),
    "check": _Entry("check:check", "Ask a check about one subject. 就一个主体提问。"),
    "cost": _Entry("cost:cost", "See what a check would cost. 查询提问的代价。"),
    "uses": _Entry("uses:uses", "See what your data was used for. 数据使用情况。"),
    "receipt": _Entry("receipt:app", "Verify and show receipts, offline. 回执。"),
    "log": _Entry("log:app", "Verify the room's log. 存证日志。"),
    "audit": _Entry("audit:app", "Audit the log, trusting nobody in the room. 审计。"),
    "pause": _Entry("pause:pause", "Stop a use of your data at once. 立即暂停。"),
    "resume": _Entry("pause:resume", "Let a paused use go on, with m of n. 恢复使用。"),
    "measure": _Entry("agent:measure", "Give the digests of this code. 度量代码。"),
}


class _Root(TyperGroup):
    """Lists commands without importing them, and turns refusals into words and exit codes."""

    # Typer has its own copy of Click, whose context type is not for others to name.

    def list_commands(self, ctx: object) -> list[str]:
        """Name the commands in the order of their use."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
        """Give what a list of commands shows of one."""
        del ctx
        entry = _COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.about)

    def resolve_command(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | None, list[str]]:
        """Import the command that was called."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = _load(name)
        return name, cast("TyperCommand | None", command), rest

    def invoke(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, ctx: typer.Context
    ) -> object:
        """Run the command, and turn what is refused into words."""
        try:
            return cast("object", super().invoke(ctx))
        except SafeRoomError as error:
            print_error(error, as_json=wants_json(ctx))
        except OSError as error:
            print_error(_system_error(error), as_json=wants_json(ctx))
        except ValueError as error:
            print_error(_input_error(error), as_json=wants_json(ctx))
        raise typer.Exit(FAILED)


app = typer.Typer(
    cls=_Root,
    name="saferoom",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A data safe room: usable, never visible. 数据安全屋 可用不可见。",
)


@app.callback()
def root() -> None:
    """Come before every command."""


def main() -> None:
    """Run the command line."""
    # gRPC's C core writes what it meets to standard error, line by line; we say it in our words.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    app()


def _load(name: str) -> object:
    module_name, _, attribute = _COMMANDS[name].place.partition(":")
    if "." not in module_name:
        module_name = f"{__name__}.{module_name}"
    target = cast("object", getattr(import_module(module_name), attribute))
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False)
    single.command(name)(target)  # pyright: ignore[reportArgumentType]
    return typer.main.get_command(single)


def _input_error(error: ValueError) -> SafeRoomError:
    """Name the values that a statement or a file of the user's may not hold."""
    # Imported only here: help and completion need nothing of it.
    from pydantic import ValidationError  # noqa: PLC0415

    from saferoom_proto.statements.base import field_faults  # noqa: PLC0415

    if not isinstance(error, ValidationError):
        raise error
    return SafeRoomError(Reason.MALFORMED, "an argument is not usable", field_faults(error))


def _system_error(error: OSError) -> SafeRoomError:
    """Name the file that the operating system refused."""
    place = str(error.filename) if error.filename is not None else "this computer"
    rule = error.strerror or type(error).__name__
    return SafeRoomError(Reason.BAD_CONFIG, f"{place}: {rule}", [FieldFault(place, rule)])
