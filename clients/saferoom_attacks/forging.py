"""A server that was taken over: it has the room's folder and keys, and makes requests up.

It runs in the honest server's place (`saferoom.dishonest`), with what a bank that plays along gives
it, and wants to know of a firm in which half of the amounts it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Final

from saferoom_attacks.ask import BANK, Heard, Oracle, Told, least
from saferoom_attacks.attack import Chance
from saferoom_attacks.firms import MIDDLE, OWNER, TURNOVER
from saferoom_attacks.ground import Ground
from saferoom_client.demo.plot import Plot
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason

_PROGRAM: Final = "saferoom.dishonest"
_ANSWERED: Final = "ANSWERED"
_ASK: Final = "turnover-least"


def forge(ground: Ground, subject: str) -> list[Told]:
    """Take the server over, make every attempt about a subject, and start the honest one again.

    Returns:
        What the enclave said to each attempt.
    """
    bank = ground.room(BANK)
    honest = bank.get_template(ground.templates[_ASK])
    altered = honest.template.model_copy(
        update={"check": f"{TURNOVER.ref} >= {MIDDLE}", "params": {}}
    )
    plot = Plot.make(bank.profile, altered, honest, subject, {"least": str(MIDDLE)})
    stage, folder = ground.stage, ground.stage.folder / "plot"
    plot.save(folder)
    ground.close()
    stage.processes.stop("server")
    try:
        lines = stage.processes.run_program(_PROGRAM, str(stage.room), str(folder), OWNER)
    finally:
        stage.serve()
        stage.wait_for_enclaves()
        shutil.rmtree(folder)
    outcomes = [line.rsplit(" -> ", 1)[1] for line in lines.splitlines()]
    # Whatever was answered would be a yes or a no to somebody: which one does not matter here.
    return [Truth.YES if one == _ANSWERED else Reason(one) for one in outcomes]


def forged(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Have the server ask about each target in ways that nobody allowed."""
    del chance
    question = least(MIDDLE)
    return {target: tuple((question, told) for told in oracle.forge(target)) for target in targets}
