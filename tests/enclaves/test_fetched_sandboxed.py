"""A closed enclave, its broker and a provider, each a process or a thread of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from saferoom_client.broker.config import FILE
from saferoom_enclaves.journal import Judged
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, Release, load
from simulator import Clock, sample, tax_csv
from simulator.attended import Attended
from simulator.fetching import BOUND_SECONDS, arrears_features, arrears_schema, row, write_config
from simulator.process import EnclaveProcess
from simulator.provider import provider

BROKER = (sys.executable, "-m", "saferoom_client", "broker", "run")


def test_an_enclave_without_a_network_is_told_by_its_broker(tmp_path: Path) -> None:
    """The whole way: no packet of the enclave's own, and an answer from the provider's record."""
    said = sample(clock=Clock())
    said.tax.publish_schema(arrears_schema())
    for each in arrears_features():
        said.tax.define(each)
    check = said.approved("owes", "tax.owes IS FALSE")
    firm = said.world.subject(1)
    firm.give(said.bank, ["tax.owes"])
    with (
        TemporaryDirectory(prefix="saferoom-") as short,
        provider(tmp_path / "broker") as running,
    ):
        running.rows[firm.uscc] = {"tax_arrears": [row("12000")]}
        socket = Path(short) / "s"
        write_config(tmp_path / "broker", socket, running.port)
        assert (tmp_path / "broker" / FILE).is_file()
        config = {"sandbox": True, "broker": str(socket)}
        with EnclaveProcess(said.tax, tmp_path, config) as process:
            attended = Attended(said.tax, process)
            attended.unlock()
            attended.follow()
            process.load({"firms": tax_csv(said.world)})
            broker = subprocess.Popen([*BROKER, str(tmp_path / "broker")], stdout=subprocess.PIPE)
            try:
                question = said.bank.request(firm, check.template, check.certificate)
                end = time.monotonic() + BOUND_SECONDS
                while True:
                    attended.follow()
                    (judged,) = process.judge([question])
                    if isinstance(judged, Judged):
                        break
                    assert isinstance(judged, SafeRoomError)
                    assert judged.reason in {Reason.SOURCE_PENDING, Reason.SOURCE_UNAVAILABLE}
                    assert time.monotonic() < end
                    time.sleep(0.1)
            finally:
                broker.terminate()
                told, _ = broker.communicate()
            assert broker.returncode == 0
            assert firm.uscc.encode() not in told + process.log.read_bytes()
    release = load(judged.entry.statement, Release)
    assert release.outcome is Outcome.ANSWERED
    assert said.bank.open(question, "tax", judged.sealed).truth is Truth.NO
    assert running.asked == [("tax_arrears", firm.uscc)]
