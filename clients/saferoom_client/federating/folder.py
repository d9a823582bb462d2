"""What a bank keeps of a federated training: a folder for each, in its member folder.

join.json      the signed join, and the key of the training, sealed
state.sealed   the participant's state, sealed; written anew before each message is sent
masked         empty; there once numbers may have been sent, masked; it stays
model.json     the model, once there is one
result.json    the signed word on it

Signed words are kept as the bank's own record; whether one reached the room, only the log says.
What is sealed is sealed as a job's (`training.folder`). The state goes once there is a model; where
there is none it stays, for whoever took part anew with other secrets would open its own numbers.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import StringConstraints, model_validator

from saferoom_client.files import alone_with, make_folder, read_model, read_private, write_model
from saferoom_client.profile import Profile
from saferoom_client.tongue import later
from saferoom_client.training.folder import open_sealed, seal, short, write_sealed
from saferoom_models.horizontal.model import Finding, Model
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Base64, Part

FEDERATIONS: Final = "federations"
_JOIN: Final = "join.json"
_STATE: Final = "state.sealed"
_MASKED: Final = "masked"
MODEL: Final = "model.json"
_RESULT: Final = "result.json"

_Envelope = Annotated[str, StringConstraints(max_length=64 * 1024)]


class _Join(Part):
    format: Literal["saferoom-federation/v1"] = "saferoom-federation/v1"
    join: _Envelope
    key: Base64
    """Sealed."""


class _Result(Part):
    result: _Envelope


class KeptModel(Part):
    """The model, as every bank has it, and what it came from."""

    federation: str
    name: str
    """Of the federation's proposal."""
    course: str
    banks: tuple[str, ...]
    fitted: Model
    findings_here: tuple[Finding, ...]
    """Of this bank's own rows."""

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        fitted = self.fitted
        lists = (fitted.weights, fitted.means, fitted.scales, fitted.bounds)
        if any(len(each) != len(fitted.names) for each in lists):
            raise ValueError("each column has a weight, a mean, a scale and bounds")
        return self


class FederationFolder:
    """One federation's folder.

    Args:
        profile: the member.
        federation: its id.
    """

    def __init__(self, profile: Profile, federation: str) -> None:
        self.profile: Final = profile
        self.federation: Final = federation
        self.folder: Final = profile.folder / FEDERATIONS / short(federation)

    def has_joined(self) -> bool:
        """Say whether a join was signed."""
        return (self.folder / _JOIN).exists()

    def join(self, envelope: Envelope, key: Ed25519PrivateKey) -> None:
        """Keep a join that was signed, before it is said."""
        make_folder(make_folder(self.profile.folder / FEDERATIONS) / self.folder.name)
        sealed = seal(self.profile, self.federation, _JOIN, key.private_bytes_raw())
        write_model(self.folder / _JOIN, _Join(join=envelope.to_json().decode(), key=b64(sealed)))

    def key(self) -> Ed25519PrivateKey:
        """Give the key of the training.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` where this folder did not join.
        """
        path = self.folder / _JOIN
        if not path.exists():
            rule = later("this member folder has not joined it")
            refusal = SafeRoomError(
                Reason.UNKNOWN_STATEMENT, rule, [FieldFault("federation", rule)]
            )
            refusal.add_note(self.profile.typed(f"federation join {self.federation}"))
            raise refusal
        sealed = unb64(read_model(path, _Join).key)
        raw = open_sealed(self.profile, self.federation, path, sealed)
        return Ed25519PrivateKey.from_private_bytes(raw)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep any other process from taking part in this training meanwhile.

        Raises:
            SafeRoomError: `CONFLICT` if one does.
        """
        rule = later("another process takes part in this training, in another window")
        refusal = SafeRoomError(Reason.CONFLICT, rule, [FieldFault("federation", rule)])
        with alone_with(self.folder / _JOIN, refusal):
            yield

    def keep_state(self, state: bytes, *, masked: bool) -> None:
        """Keep the participant's state, in place of the one before.

        Args:
            state: of it.
            masked: whether its numbers may be sent from now on; that is kept for good.
        """
        if masked:
            (self.folder / _MASKED).touch(mode=0o600)
        write_sealed(self.profile, self.federation, self.folder / _STATE, state)

    def state(self) -> bytes | None:
        """Give the participant's newest state; none before the first message."""
        path = self.folder / _STATE
        if not path.exists():
            return None
        return open_sealed(self.profile, self.federation, path, read_private(path))

    def masked(self) -> bool:
        """Say whether this member's numbers may have been sent."""
        return (self.folder / _MASKED).exists()

    def begun(self) -> bool:
        """Say whether this member takes part, or took part, whatever came of it."""
        return self.masked() or (self.folder / _STATE).exists()

    def keep_model(self, model: KeptModel) -> None:
        """Keep the model."""
        write_model(self.folder / MODEL, model)

    def model(self) -> KeptModel | None:
        """Give the model; none before there is one."""
        path = self.folder / MODEL
        return read_model(path, KeptModel) if path.exists() else None

    def keep_result(self, result: Envelope) -> None:
        """Keep the signed word on the model, before it is said."""
        write_model(self.folder / _RESULT, _Result(result=result.to_json().decode()))

    def forget_state(self) -> None:
        """Let the state go: there is a model, and its word is said."""
        (self.folder / _STATE).unlink(missing_ok=True)


def find_model(profile: Profile, named: str) -> KeptModel:
    """Find a model of this member folder by its federation's id, first digits or name.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if there is none here, or more than one.
    """
    paths = sorted((profile.folder / FEDERATIONS).glob(f"*/{MODEL}"))
    kept = [read_model(path, KeptModel) for path in paths]
    digits = named.partition(":")[2] or named
    found = [
        each
        for each in kept
        if each.name == named or (digits and each.federation.partition(":")[2].startswith(digits))
    ]
    if len(found) != 1:
        told = ", ".join(f"{each.name} ({short(each.federation)})" for each in kept) or "none"
        rule = f"{named} is no one model of this member folder; it has: {told}"
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("federation", rule)])
        refusal.add_note(profile.typed("federation list"))
        raise refusal
    return found[0]
