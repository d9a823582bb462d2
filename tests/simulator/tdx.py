"""A made-up TDX platform: Intel's whole chain under a root of its own, and domains that it quotes.

Everything is made as the hardware and Intel's service make it, byte by byte, so that the real
verifier has all of it to verify. Only the root is not Intel's.

Source: Intel TDX DCAP Quoting Library API, appendix A (quote, version 4); Intel SGX PCK Certificate
and Certificate Revocation List Profile Specification, 1.5 (the SGX extension); Intel PCS API
documentation, version 4 (TCB info, version 3; QE identity, version 2).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from saferoom_proto.statements.base import Part

FMSPC: Final = bytes.fromhex("b0c06f000000")
SEPT_VE_DISABLE: Final = 1 << 28
DEBUG: Final = 1
_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_SGX: Final = "1.2.840.113741.1.13.1"
_COMPONENTS: Final = 16
_SVN: Final = 6
"""Of every component of the platform, where it is up to date."""
_MODULE: Final = bytes([_SVN, 1, 3]) + bytes(13)
"""TEE_TCB_SVN: module version 1 at this level."""


class Registers(Part):
    """What a domain was measured to be, hexadecimal."""

    mr_td: str = "11" * 48
    rt_mr0: str = "22" * 48
    rt_mr1: str = "33" * 48
    rt_mr2: str = "44" * 48
    rt_mr3: str = "00" * 48


@dataclass
class TdxPlatform:
    """A machine, its certificates, and the service that tells of its state.

    Attributes:
        now: when its collateral was issued; it is in force for 30 days.
        status: what the service says of the platform's level.
    """

    now: datetime
    status: str = "UpToDate"
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(
        default_factory=dict[str, ec.EllipticCurvePrivateKey]
    )
    certificates: dict[str, x509.Certificate] = field(default_factory=dict[str, x509.Certificate])

    def __post_init__(self) -> None:
        for name in ("root", "platform", "tcb", "pck", "attestation"):
            self.keys[name] = ec.generate_private_key(ec.SECP256R1())
        self.certificates["root"] = self._certified("root", "root", ca=True)
        self.certificates["platform"] = self._certified("platform", "root", ca=True)
        self.certificates["tcb"] = self._certified("tcb", "root", ca=False)
        self.certificates["pck"] = self._certified("pck", "platform", ca=False)

    @property
    def root(self) -> bytes:
        """The root's certificate, DER."""
        return self.certificates["root"].public_bytes(Encoding.DER)

    def collateral(self, *, revoked: bool = False) -> str:
        """Give what the service tells, as dcap-qvl reads it."""
        tcb = json.dumps(self._tcb_info(), separators=(",", ":"))
        identity = json.dumps(self._qe_identity(), separators=(",", ":"))
        platform = self._chain("platform", "root")
        signing = self._chain("tcb", "root")
        return json.dumps(
            {
                "pck_crl_issuer_chain": platform,
                "root_ca_crl": self._revocations("root", ()).hex(),
                "pck_crl": self._revocations("platform", ("pck",) if revoked else ()).hex(),
                "tcb_info_issuer_chain": signing,
                "tcb_info": tcb,
                "tcb_info_signature": self._raw_signature("tcb", tcb.encode()).hex(),
                "qe_identity_issuer_chain": signing,
                "qe_identity": identity,
                "qe_identity_signature": self._raw_signature("tcb", identity.encode()).hex(),
            }
        )

    def quote(
        self,
        report_data: bytes,
        registers: Registers = Registers(),  # noqa: B008 - frozen
        attributes: int = SEPT_VE_DISABLE,
    ) -> bytes:
        """Quote a domain of this platform."""
        header = struct.pack("<HHIHH", 4, 2, 0x81, 0, 0) + _QE_VENDOR + bytes(20)
        body = b"".join(
            (
                _MODULE,
                bytes(48 + 48 + 8),  # MRSEAM, MRSIGNERSEAM, SEAMATTRIBUTES
                attributes.to_bytes(8, "little"),
                (0xE7).to_bytes(8, "little"),  # XFAM
                bytes.fromhex(registers.mr_td),
                bytes(48 * 3),  # MRCONFIGID, MROWNER, MROWNERCONFIG
                *(
                    bytes.fromhex(each)
                    for each in (
                        registers.rt_mr0,
                        registers.rt_mr1,
                        registers.rt_mr2,
                        registers.rt_mr3,
                    )
                ),
                report_data,
            )
        )
        attestation = self._point("attestation")
        authentic = bytes(range(32))
        report = _qe_report(hashlib.sha256(attestation + authentic).digest())
        chain = self._chain("pck", "platform", "root").encode()
        certified = b"".join(
            (
                report,
                self._raw_signature("pck", report),
                struct.pack("<H", len(authentic)) + authentic,
                struct.pack("<HI", 5, len(chain)) + chain,
            )
        )
        signed = b"".join(
            (
                self._raw_signature("attestation", header + body),
                attestation,
                struct.pack("<HI", 6, len(certified)) + certified,
            )
        )
        return header + body + struct.pack("<I", len(signed)) + signed

    def _certified(self, name: str, issuer: str, *, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(self.keys[name].public_key())
            .serial_number(int.from_bytes(os.urandom(16), "big") >> 1)
            .not_valid_before(self.now - timedelta(days=1000))
            .not_valid_after(self.now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.keys[issuer].public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.keys[name].public_key()),
                critical=False,
            )
            .add_extension(_usage(ca=ca), critical=True)
        )
        if name == "pck":
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX), _sgx_extension())
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.keys[issuer], SHA256())

    def _revocations(self, issuer: str, revoked: tuple[str, ...]) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(issuer))
            .last_update(self.now)
            .next_update(self.now + timedelta(days=30))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.keys[issuer].public_key()),
                critical=False,
            )
        )
        for name in revoked:
            gone = (
                x509.RevokedCertificateBuilder()
                .serial_number(self.certificates[name].serial_number)
                .revocation_date(self.now)
                .build()
            )
            builder = builder.add_revoked_certificate(gone)
        return builder.sign(self.keys[issuer], SHA256()).public_bytes(Encoding.DER)

    def _chain(self, *names: str) -> str:
        certificates = (self.certificates[each] for each in names)
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)

    def _point(self, name: str) -> bytes:
        numbers = self.keys[name].public_key().public_numbers()
        return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def _raw_signature(self, name: str, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.keys[name].sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _dated(self) -> dict[str, object]:
        return {
            "issueDate": f"{self.now:%Y-%m-%dT%H:%M:%SZ}",
            "nextUpdate": f"{self.now + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
            "tcbEvaluationDataNumber": 17,
        }

    def _tcb_info(self) -> dict[str, object]:
        components = [{"svn": _SVN} for _ in range(_COMPONENTS)]
        signer, attributes = "00" * 48, "0000000000000000"
        module = {"mrsigner": signer, "attributes": attributes, "attributesMask": "FF" * 8}
        date = "2024-03-13T00:00:00Z"
        levels = [{"tcb": {"isvsvn": 2}, "tcbDate": date, "tcbStatus": "UpToDate"}]
        return {
            "id": "TDX",
            "version": 3,
            **self._dated(),
            "fmspc": FMSPC.hex().upper(),
            "pceId": "0000",
            "tcbType": 0,
            "tdxModule": module,
            "tdxModuleIdentities": [{"id": "TDX_01", **module, "tcbLevels": levels}],
            "tcbLevels": [
                {
                    "tcb": {
                        "sgxtcbcomponents": components,
                        "pcesvn": 11,
                        "tdxtcbcomponents": [{"svn": each} for each in _MODULE],
                    },
                    "tcbDate": date,
                    "tcbStatus": self.status,
                }
            ],
        }

    def _qe_identity(self) -> dict[str, object]:
        return {
            "id": "TD_QE",
            "version": 2,
            **self._dated(),
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11" + "00" * 15,
            "attributesMask": "FBFFFFFFFFFFFFFF" + "00" * 8,
            "mrsigner": "DC" * 32,
            "isvprodid": 2,
            "tcbLevels": [
                {
                    "tcb": {"isvsvn": 4},
                    "tcbDate": "2024-03-13T00:00:00Z",
                    "tcbStatus": "UpToDate",
                }
            ],
        }


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Made-up SGX {name}")])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _qe_report(bound: bytes) -> bytes:
    """Give the quoting enclave's report, which binds the attestation key."""
    return b"".join(
        (
            bytes([_SVN] * _COMPONENTS),  # CPUSVN
            bytes(4 + 28),  # MISCSELECT
            bytes([0x11]) + bytes(7) + (0xE7).to_bytes(8, "little"),  # ATTRIBUTES: not under debug
            bytes.fromhex("EE" * 32),  # MRENCLAVE
            bytes(32),
            bytes.fromhex("DC" * 32),  # MRSIGNER
            bytes(96),
            struct.pack("<HH", 2, 4),  # ISVPRODID, ISVSVN
            bytes(60),
            bound + bytes(32),
        )
    )


def _sgx_extension() -> bytes:
    components = [
        _pair(f"{_SGX}.2.{index}", _der(2, bytes([_SVN]))) for index in range(1, _COMPONENTS + 1)
    ]
    tcb = [
        *components,
        _pair(f"{_SGX}.2.17", _der(2, bytes([11]))),
        _pair(f"{_SGX}.2.18", _der(4, bytes([_SVN] * _COMPONENTS))),
    ]
    return _der(
        0x30,
        b"".join(
            (
                _pair(f"{_SGX}.1", _der(4, bytes(16))),
                _pair(f"{_SGX}.2", _der(0x30, b"".join(tcb))),
                _pair(f"{_SGX}.3", _der(4, bytes(2))),
                _pair(f"{_SGX}.4", _der(4, FMSPC)),
                _pair(f"{_SGX}.5", _der(10, bytes(1))),
            )
        ),
    )


def _pair(oid: str, value: bytes) -> bytes:
    return _der(0x30, _oid(oid) + value)


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytes([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | (number & 0x7F))
        content += bytes(reversed(groups))
    return _der(6, content)


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
