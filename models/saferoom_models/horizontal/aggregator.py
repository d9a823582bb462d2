"""The aggregator: it collects each step's messages, and answers those who sent one.

What it sees: masked numbers, shares, and each round's sum; nothing of one bank. It is trusted for
nothing but going on: every bank checks signatures, sets and the sum itself.

Its state is what it was given, in order: whoever takes up the same messages and closings anew comes
to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from saferoom_models.horizontal import messages, shamir
from saferoom_models.horizontal.course import Course
from saferoom_models.horizontal.fit import Fit
from saferoom_models.horizontal.masks import commit
from saferoom_models.horizontal.messages import (
    AGGREGATOR,
    MARKS_BYTES,
    SEALED_BYTES,
    SET_BYTES,
    Kind,
    Message,
    Pieces,
    members_of,
    set_of,
    write_set,
)
from saferoom_models.horizontal.round import confirmed_body
from saferoom_models.horizontal.terms import Terms
from saferoom_models.horizontal.unmasking import check_secret, open_sum
from saferoom_models.refusals import JointTrainingError, Refusal

_ORDER: Final = (Kind.KEYS, Kind.SHARES, Kind.MASKED, Kind.CONFIRMED, Kind.OPENED)


class Aggregator:
    """Collects and answers, step after step, until `over`."""

    def __init__(self, terms: Terms) -> None:
        """Wait for the first messages of all members."""
        self._terms = terms
        self._course = Course(terms)
        self._begin_round()
        self._answer: Callable[[int], bytes] | None = None
        self._answered = 0

    def _begin_round(self) -> None:
        self._kind = Kind.KEYS
        self._expected = self._course.banks
        self._came: dict[Kind, dict[int, Message]] = {kind: {} for kind in _ORDER}

    @property
    def round(self) -> int:
        """The round that is due."""
        return self._course.round

    @property
    def kind(self) -> Kind:
        """The messages that are due."""
        return self._kind

    @property
    def course(self) -> str:
        """The digest of terms and sums so far."""
        return self._course.digest.hex()

    @property
    def fit(self) -> Fit | None:
        """How far the fit is; None before the first sum."""
        return self._course.fit

    @property
    def over(self) -> bool:
        """Whether nothing more is to be summed."""
        return self._course.over

    @property
    def missing(self) -> tuple[str, ...]:
        """Whose message is still due."""
        gone = self._expected & ~set_of(self._came[self._kind])
        return tuple(self._terms.members[place].name for place in members_of(gone))

    @property
    def ready(self) -> bool:
        """Whether every message that is due has come."""
        return not self.over and not self.missing

    @property
    def enough(self) -> bool:
        """Whether the step could be closed with the messages that came."""
        try:
            self._check_step(set_of(self._came[self._kind]))
        except JointTrainingError:
            return False
        return not self.over

    def take_from(self, name: str, data: bytes) -> None:
        """Take a message from whoever is known to be a bank, by the line that it came over.

        Raises:
            JointTrainingError: as `take`; `NOT_SIGNED` for another bank's message.
        """
        if self._read(data).sender != self._terms.place(name):
            raise JointTrainingError(Refusal.NOT_SIGNED, f"another bank's message than {name}'s")
        self.take(data)

    def _read(self, data: bytes) -> Message:
        if self.over:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "all is over")
        return messages.read(data, self._course.due, self._kind)

    def take(self, data: bytes) -> str:
        """Take a bank's message, and say whose it is; the same one again changes nothing.

        Raises:
            JointTrainingError: what is wrong with it; `REPLAYED` for another one than came.
        """
        message = self._read(data)
        name = self._terms.members[message.sender].name
        if not self._expected >> message.sender & 1:
            raise JointTrainingError(Refusal.LEFT_OUT, f"{name} was left out of this round before")
        came = self._came[self._kind]
        if message.sender in came:
            if came[message.sender].data != data:
                raise JointTrainingError(Refusal.REPLAYED, f"{name} sent something else before")
            return name
        self._check(message)
        came[message.sender] = message
        return name

    def _check(self, message: Message) -> None:
        banks = self._expected.bit_count() if self._kind is Kind.SHARES else len(self._dealers)
        right = messages.body_length(self._terms, self._kind, self.round, banks)
        if len(message.body) != right:
            raise JointTrainingError(
                Refusal.WRONG_SIZE, f"a body of {len(message.body)} bytes; {right} are right"
            )
        match self._kind:
            case Kind.SHARES:
                if Pieces(message.body).banks(self._terms) != self._expected:
                    raise JointTrainingError(Refusal.OTHER_SET, "shares for other banks")
            case Kind.CONFIRMED:
                if message.body != confirmed_body(self._keys, set_of(self._came[Kind.MASKED])):
                    raise JointTrainingError(Refusal.OTHER_SET, "another set was signed")
            case Kind.OPENED:
                self._check_opened(message)
            case _:
                pass

    @property
    def _dealers(self) -> dict[int, Message]:
        return self._came[Kind.SHARES]

    @property
    def _keys(self) -> dict[int, bytes]:
        """Bodies of KEYS of the banks that shared their secrets."""
        return {place: self._came[Kind.KEYS][place].body for place in sorted(self._dealers)}

    def _opened(self, message: Message) -> dict[int, bytes]:
        pieces = Pieces(message.body)
        return {dealer: pieces.take(shamir.SHARE_BYTES) for dealer in sorted(self._dealers)}

    def _check_opened(self, message: Message) -> None:
        for dealer, share in self._opened(message).items():
            survived = dealer in self._came[Kind.MASKED]
            marks = self._marks(dealer, message.sender)
            right = marks[: len(marks) // 2] if survived else marks[len(marks) // 2 :]
            if commit(share) != right:
                raise JointTrainingError(
                    Refusal.BAD_SHARE,
                    f"a share of {self._terms.members[dealer].name}'s secret that it did not deal",
                )

    def _marks(self, dealer: int, holder: int) -> bytes:
        """Give a dealer's commitments to a holder's shares."""
        banks = sorted(self._came[Kind.KEYS])
        start = SET_BYTES + (len(banks) - 1) * SEALED_BYTES + banks.index(holder) * MARKS_BYTES
        return self._dealers[dealer].body[start : start + MARKS_BYTES]

    def _sealed(self, dealer: int, holder: int) -> bytes:
        others = [place for place in sorted(self._came[Kind.KEYS]) if place != dealer]
        start = SET_BYTES + others.index(holder) * SEALED_BYTES
        return self._dealers[dealer].body[start : start + SEALED_BYTES]

    def _check_step(self, came: int) -> None:
        if self._kind in {Kind.KEYS, Kind.SHARES, Kind.MASKED}:
            self._course.check(came)
        elif came.bit_count() < self._terms.threshold:
            raise JointTrainingError(
                Refusal.TOO_FEW_MEMBERS,
                f"{came.bit_count()} banks answered; {self._terms.threshold} must",
            )

    def close(self) -> None:
        """End the step with the messages that came, and have the answers ready.

        Raises:
            JointTrainingError: with these the training cannot go on; it changes nothing.
        """
        if self.over:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "all is over")
        came = self._came[self._kind]
        banks = set_of(came)
        self._check_step(banks)
        in_order = [came[place].data for place in sorted(came)]
        due = self._course.due

        def same(kind: Kind, body: bytes) -> Callable[[int], bytes]:
            answer = messages.write(due, kind, AGGREGATOR, body, None)
            return lambda _: answer

        match self._kind:
            case Kind.KEYS:
                self._answer = same(Kind.PEERS, write_set(banks) + b"".join(in_order))
            case Kind.SHARES:
                dealt = {place: self._dealt(place) for place in came}
                self._answer = lambda place: messages.write(
                    due, Kind.DEALT, AGGREGATOR, dealt[place], None
                )
            case Kind.MASKED:
                self._answer = same(Kind.SURVIVORS, write_set(banks))
            case Kind.CONFIRMED:
                self._answer = same(Kind.CONFIRMATIONS, write_set(banks) + b"".join(in_order))
            case _:
                self._end_round(same)
                return
        self._answered = self._expected = banks
        self._kind = _ORDER[_ORDER.index(self._kind) + 1]

    def _dealt(self, holder: int) -> bytes:
        pieces = [write_set(set_of(self._dealers))]
        for dealer in sorted(self._dealers):
            if dealer != holder:
                pieces += [self._sealed(dealer, holder), self._marks(dealer, holder)]
        return b"".join(pieces)

    def _end_round(self, same: Callable[[Kind, bytes], Callable[[int], bytes]]) -> None:
        """Put the secrets together, open the sum, and begin the next round."""
        opened = {
            holder: self._opened(message) for holder, message in self._came[Kind.OPENED].items()
        }
        masked = self._came[Kind.MASKED]
        holders = sorted(opened)[: self._terms.threshold]
        secrets: dict[int, bytes] = {}
        for dealer, keys in self._keys.items():
            shares = {holder: shamir.read_share(opened[holder][dealer]) for holder in holders}
            secrets[dealer] = _secret(self._terms, dealer, shares, keys, survived=dealer in masked)
        bodies = {place: message.body for place, message in masked.items()}
        survivors = set_of(masked)
        total = open_sum(self._course.due, self._keys, bodies, secrets)
        pieces = [write_set(survivors), *(masked[place].data for place in sorted(masked))]
        answer = same(Kind.SUM, b"".join([*pieces, *(secrets[place] for place in sorted(secrets))]))
        self._course.take(survivors, total)
        self._answer, self._answered = answer, survivors
        self._begin_round()

    def answer(self, name: str) -> bytes:
        """Give the answer to the last step that was closed to one who was part of it.

        Raises:
            JointTrainingError: `OUT_OF_ORDER` before the first, `LEFT_OUT`.
        """
        place = self._terms.place(name)
        if self._answer is None:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "no step was closed")
        if not self._answered >> place & 1:
            raise JointTrainingError(Refusal.LEFT_OUT, f"the others went on without {name}")
        return self._answer(place)


def _secret(
    terms: Terms, dealer: int, shares: Mapping[int, int], keys: bytes, *, survived: bool
) -> bytes:
    """Put a secret together, and say whose it was if it is none."""
    try:
        secret = shamir.join(shares)
        check_secret(keys, secret, survived=survived)
    except JointTrainingError as error:
        raise JointTrainingError(
            Refusal.BAD_SHARE, f"{terms.members[dealer].name} dealt shares that give no secret"
        ) from error
    return secret
