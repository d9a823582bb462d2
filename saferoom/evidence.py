"""Evidence of the steps a call has taken: each made in one module only, and asked for by the next.

    Caller      made by `identity.Callers`: the certificate is a known organisation's or subject's
    Approved    made by `checks.Checks`: this caller may have this question judged by these enclaves
    Recorded    made by `notary.Notary`: the statement stands in the ledger, durably, with its proof

What the room says about a statement goes on the wire from a `Recorded` only (`wire.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar, final

from saferoom.gist import RequestGist
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import Identity

T_co = TypeVar("T_co", covariant=True)


class Role(StrEnum):
    """What an organisation may do in the room."""

    OPERATOR = "operator"
    OWNER = "owner"
    INSTITUTION = "institution"
    AUDITOR = "auditor"
    ISSUER = "issuer"
    SUBJECT = "subject"


@final
@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a call comes from, by the certificate of its connection.

    Attributes:
        identity: whom the certificate names.
        roles: what its organisation may do; none if it is not enrolled.
    """

    identity: Identity
    roles: frozenset[Role]

    @property
    def organisation(self) -> str:
        """The organisation's handle, or a subject's code."""
        return self.identity.organisation


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """A caller's question that the room may pass on.

    Attributes:
        caller: who asks.
        envelope: the signed request; its digest is the request id.
        request: what the room goes by in it.
        owners: whose enclaves judge it, in order of their names.
    """

    caller: Caller
    envelope: Envelope
    request: RequestGist
    owners: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Recorded(Generic[T_co]):
    """A statement that stands in the ledger.

    Attributes:
        said: what the statement says, or what belongs to it.
        statement: the signed statement.
        index: of its entry in the ledger.
        salt: the 32 bytes that open the entry's commitment; empty once erased.
        proof: a C2SP tlog-proof under the checkpoint of the entry's own commit, so that it is the
            same text whenever it is asked for.
    """

    said: T_co
    statement: Envelope
    index: int
    salt: bytes
    proof: str
