"""The sandbox's firms: for every kind of answer a question that ends in it.

The codes never change. Their region, 990000, exists nowhere, so none is a real firm's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Purpose
from saferoom_proto.uscc import make_uscc

_FIRST: Final = 7001
"""The serial of the first firm; the demo's are far from it."""

YES, NO, UNKNOWN, SILENT, REVOKED, LAPSED, USED_UP, SPENT, LISTED = (
    make_uscc(_FIRST + number) for number in range(9)
)
MISTYPED: Final = YES[:-1] + ("0" if YES[-1] != "0" else "1")
"""The last character checks the others, and does not fit."""

DESK: Final = "desk"
SLOW: Final = "slow"
"""The same member, with a slow line to the room."""
CHECK: Final = "sandbox-check"
LEAST: Final = "5000"


@dataclass(frozen=True, slots=True)
class SandboxCode:
    """A question of the sandbox, and what it ends in.

    Attributes:
        ends_in: the answer, or the reason of the refusal.
        why: what makes it end so.
        why_zh: the same in Chinese.
        subject: the firm.
        template: what is asked.
        purpose: what for.
        params: the template's parameters.
        valid_for: how long the question may travel.
        deadline_seconds: how long to wait for the answer; none: as long as the client does.
        member: whose folder to ask from: the desk's, or the one at the end of a slow line.
    """

    ends_in: Truth | Reason
    why: str
    why_zh: str
    subject: str = YES
    template: str = CHECK
    purpose: Purpose = Purpose.PRE_LOAN
    params: Mapping[str, str] = field(default_factory=lambda: {"least": LEAST})
    valid_for: timedelta = timedelta(minutes=5)
    deadline_seconds: float | None = None
    member: str = DESK


CODES: Final = (
    SandboxCode(Truth.YES, "paid 60,000", "缴纳 60,000 元"),
    SandboxCode(Truth.NO, "paid 900", "缴纳 900 元", NO),
    SandboxCode(Truth.NOT_FOUND, "consented, but in no store", "已授权 数据中查无", UNKNOWN),
    SandboxCode(Truth.YES, "two owners, both answer yes", "两个数源单位均答是", YES, "both-check"),
    SandboxCode(
        Truth.NO,
        "two owners: tax yes, court no",
        "两个数源单位 税务是 法院否",
        LISTED,
        "both-check",
    ),
    SandboxCode(Reason.NO_CONSENT, "never consented", "从未授权", SILENT),
    SandboxCode(Reason.NO_CONSENT, "took its consent back", "已撤回授权", REVOKED),
    SandboxCode(Reason.NO_CONSENT, "its consent has lapsed", "授权已过期", LAPSED),
    SandboxCode(Reason.CONSENT_USED_UP, "consented to one question", "只授权一次 已用", USED_UP),
    SandboxCode(Reason.OVER_BUDGET, "asked about enough", "信息量已用尽", SPENT),
    SandboxCode(Reason.PAUSED, "the owner paused it", "数源单位已暂停", YES, "paused-check"),
    SandboxCode(Reason.NOT_APPROVED, "nobody approved it", "未经审批", YES, "unapproved-check"),
    SandboxCode(
        Reason.CERTIFICATE_MISMATCH, "a feature changed since", "指标已变更", YES, "outdated-check"
    ),
    SandboxCode(
        Reason.WRONG_PURPOSE,
        "the template serves no such purpose",
        "模板不适用该用途",
        purpose=Purpose.SUPERVISION,
    ),
    SandboxCode(
        Reason.NO_AGREEMENT,
        "the agreement does not cover it",
        "协议未覆盖该用途",
        purpose=Purpose.IN_LOAN,
    ),
    SandboxCode(Reason.OFF_GRID, "beside the grid", "不在分格上", params={"least": "4999"}),
    SandboxCode(Reason.OFF_DOMAIN, "a parameter is missing", "缺少参数", params={}),
    SandboxCode(Reason.UNKNOWN_STATEMENT, "no such template", "无此模板", YES, "no-such-check"),
    SandboxCode(Reason.MALFORMED_SUBJECT, "the code is mistyped", "代码有误", MISTYPED),
    SandboxCode(
        Reason.EXPIRED,
        "the question came too late",
        "提问已过期",
        valid_for=timedelta(seconds=-1),
    ),
    SandboxCode(
        Reason.DEADLINE,
        "you wait 1 ms only",
        "只等待 1 毫秒",
        deadline_seconds=0.001,
    ),
    SandboxCode(Truth.YES, "a slow line: seconds for each call", "线路缓慢", member=SLOW),
    SandboxCode(Reason.LOCKED, "its enclave has no key", "隔离区未解锁", YES, "locked-check"),
    SandboxCode(Reason.NO_DATA, "nothing is loaded", "未装载数据", YES, "empty-check"),
)
"""Every kind. Whoever stops the sandbox gets `UNAVAILABLE` for all of them."""


def table() -> list[str]:
    """Write the codes as a table of Markdown, as `docs/banks.md` shows it."""
    lines = ["| ends in | subject | template | with | because |", "|---|---|---|---|---|"]
    lines += [
        f"| `{code.ends_in}` | `{code.subject}` | `{code.template}` | {how(code)} | {code.why} |"
        for code in CODES
    ]
    return lines


def how(code: SandboxCode) -> str:
    """Say how a question is asked, beside its subject and template."""
    words: list[str] = []
    if code.purpose is not Purpose.PRE_LOAN:
        words.append(f"purpose `{code.purpose}`")
    words += [f"`{name}={value}`" for name, value in code.params.items()] or ["no parameter"]
    if code.valid_for < timedelta():
        words.append("`valid_for=timedelta(seconds=-1)`")
    if code.member != DESK:
        words.append(f"folder `members/bank-a/{code.member}`")
    if code.deadline_seconds is not None:
        words.append(f"`deadline_seconds={code.deadline_seconds:g}`")
    return ", ".join(words)


def documents() -> list[dict[str, object]]:
    """Write the codes for a program."""
    return [
        {
            "ends_in": str(code.ends_in),
            "member": code.member,
            "subject": code.subject,
            "template": code.template,
            "purpose": str(code.purpose),
            "params": dict(code.params),
            "because": {"en": code.why, "zh": code.why_zh},
        }
        for code in CODES
    ]
