"""How an issuer of a room of the suite guomi makes certificates for statements: X.509 with SM2.

`cryptography` writes certificates, but knows no SM2. So it writes the certificate with a key of
P-256 that is thrown away; then the two places that name key and algorithm are changed to SM2's,
which are as long, and SM2 signs the result. Nothing of the form is written here but its outermost
sequence. What was made is read back before it is given out.

Source: RFC 5280 section 4.1; GM/T 0006 (identifiers), GM/T 0015 (certificates with SM2).
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from saferoom_proto import sm2
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.signing_certificate import certified_key
from saferoom_proto.suite import Suite

_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 section 3.2
_SM2_WITH_SM3: Final = bytes.fromhex("300a06082a811ccf55018375")  # 1.2.156.10197.1.501
_IDENTIFIER_BYTES: Final = 20


@asn1.sequence
class _Certificate:
    tbs: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


def sign_certificate(
    builder: x509.CertificateBuilder, public: VerifyKey, issuer: SigningKey
) -> x509.Certificate:
    """Make a certificate that gives an SM2 key, signed with another one (or, for a root, itself).

    Args:
        builder: everything but the key.
        public: the key that is given.
        issuer: signs.

    Raises:
        SafeRoomError: `BAD_CONFIG` for keys of another suite; `INTERNAL` if the certificate is not
            read back as it was meant.
    """
    if {public.suite, issuer.suite} != {Suite.GUOMI}:
        detail = "an issuer of the suite guomi names keys of that suite only"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)
    stand_in = ec.generate_private_key(ec.SECP256R1())
    written = builder.public_key(stand_in.public_key()).sign(stand_in, SHA256())
    spki = stand_in.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = _exchange(written.tbs_certificate_bytes, spki, sm2.SPKI_HEADER + public.raw)
    body = _exchange(body, _ECDSA_WITH_SHA256, _SM2_WITH_SM3)
    signed = _Certificate(
        tbs=asn1.decode_der(asn1.TLV, body),
        algorithm=asn1.decode_der(asn1.TLV, _SM2_WITH_SM3),
        signature=asn1.BitString(issuer.sign(body), 0),
    )
    certificate = x509.load_der_x509_certificate(asn1.encode_der(signed))
    if certificate.tbs_certificate_bytes != body or certified_key(certificate) != public:
        raise SafeRoomError(Reason.INTERNAL, "a certificate is not read back as it was written")
    return certificate


def key_identifier(key: VerifyKey) -> bytes:
    """Name a key within certificates (RFC 7093 section 2, with SM3): it need not be unique."""
    return key.suite.hash(key.raw)[:_IDENTIFIER_BYTES]


def _exchange(body: bytes, former: bytes, other: bytes) -> bytes:
    if body.count(former) != 1 or len(former) != len(other):
        raise SafeRoomError(Reason.INTERNAL, "a certificate of another form than expected")
    return body.replace(former, other)
