"""No value of a record shows in anything an enclave lets out, logs, or leaves on disk."""

from __future__ import annotations

import base64

from saferoom_proto.load import LoadHeader, LoadSealer, LoadTable
from saferoom_proto.reasons import SafeRoomError
from simulator import EnclaveHarness, Firm, Sample, tax_csv
from simulator.sample import ordered

KEY = bytes(range(32))
VAT = "73918462.0517"
RATING = "zzyzx-vf83k"
FIRMS = {1: Firm(VAT, arrears=True, rating=RATING), 2: Firm("1", arrears=False, rating=RATING)}
BROKEN = (
    "SELECT uscc AS subject, CAST(rating AS BIGINT) AS value FROM firms",
    "SELECT uscc AS subject, CAST(rating AS DATE) - $as_of AS value FROM firms",
    "SELECT uscc AS subject, vat * 99999999999 * 99999999999 AS value FROM firms",
)


def forms(value: str) -> list[bytes]:
    """Give what a value could look like in bytes."""
    raw = value.encode()
    encoded = [base64.b64encode(bytes(skip) + raw)[4:-4] for skip in (0, 1, 2)]
    return [raw, raw.hex().encode(), value.replace(".", "").encode(), *encoded]


def everything(enclave: EnclaveHarness, told: list[object]) -> bytes:
    """Gather all that anybody but the owner can see."""
    seen = [enclave.log.getvalue().encode(), *(repr(each).encode() for each in told)]
    for entry in enclave.enclave.outbox(0):
        seen += [entry.statement.to_json(), entry.statement.payload, entry.salt]
    for folder in (enclave.folder, enclave.scratch):
        seen += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\0".join(seen)


def test_a_records_values_do_not_show_in_what_an_enclave_lets_out(
    room: Sample, enclave: EnclaveHarness
) -> None:
    told: list[object] = []
    csv = tax_csv(room.world, FIRMS)
    enclave.load({"firms": csv})
    for number, sql in enumerate(BROKEN):
        room.tax.define(ordered("tax", f"broken_{number}", sql, ["1"]))
    enclave.follow()
    told += [
        enclave.judge(room.question(serial, min_vat))
        for serial in (1, 2, 3, 8)
        for min_vat in ("10000", "50000", "50001")
    ]
    wrong = csv + f"{room.world.subject(5).uscc},{VAT}x,{RATING},\n".encode()
    header = LoadHeader("tax", enclave.newest_schema(), (LoadTable.of("firms", len(wrong)),))
    pieces = list(LoadSealer(header.digest, KEY).table(0, wrong))
    report = enclave.load_pieces(header, enclave.order(header, KEY), pieces)
    told += [report, enclave.faults(report, header)]
    enclave.restart()
    try:
        enclave.load_pieces(header, b"", [])
    except SafeRoomError as error:
        told += [error, error.detail, error.fields]
    shown = everything(enclave, told)
    assert b"statement without effect" in shown or b"feature not computed" in shown
    assert not [form for value in (VAT, RATING) for form in forms(value) if form in shown]
    assert VAT.encode() in csv
    assert len(shown) > 50_000
