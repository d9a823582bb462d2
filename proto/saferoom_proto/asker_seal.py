"""The seal of what an owner's enclave tells its asker alone: tables, a report, a card."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_proto import hpke
from saferoom_proto.encoding import check_digest
from saferoom_proto.reasons import Reason, SafeRoomError


@dataclass(frozen=True, slots=True)
class AskerSeal:
    """HPKE (`hpke`) to the request's reply key, under one kind of answer, request and owner.

    Attributes:
        kind: of what is sealed, and the version of its form: `tables v1`.
    """

    kind: str

    def info(self, request_id: str, owner: str) -> bytes:
        """Give the HPKE info: one kind, request and owner each in a line."""
        label = f"saferoom {self.kind}\n".encode()
        return label + check_digest(request_id).encode() + b"\n" + owner.encode()

    def seal(self, plaintext: bytes, reply_key: bytes, request_id: str, owner: str) -> bytes:
        """Seal a plaintext to the institution that asked."""
        return hpke.seal(reply_key, plaintext, info=self.info(request_id, owner))

    def open(self, sealed: bytes, key: hpke.SealingKey, request_id: str, owner: str) -> bytes:
        """Open what an owner's enclave sealed to the asker.

        Raises:
            SafeRoomError: `BAD_SEAL` if it was sealed to another key, kind, request or owner.
        """
        return key.open(sealed, info=self.info(request_id, owner))

    def open_text(self, sealed: bytes, key: hpke.SealingKey, request_id: str, owner: str) -> str:
        """Open a document; as `open`, and `BAD_SEAL` for what is no text, whoever sealed it."""
        try:
            return self.open(sealed, key, request_id, owner).decode()
        except UnicodeDecodeError:
            detail = f"what {owner}'s enclave sealed is no text"
            raise SafeRoomError(Reason.BAD_SEAL, detail) from None
