"""Columns that are opened beside other owners', in plain words: where, and whom that rests on."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.tongue import say


def beside_others(owner: str, host: str) -> Iterator[str]:
    """Tell an owner where its columns go, and whom that rests on."""
    if owner == host:
        yield say(
            "    this owner's enclave is the host: the others' columns are opened in a child of it"
            " for each job, kept nowhere, and gone with the child"
        )
        return
    yield say(
        "    these columns leave {owner}'s enclave: sealed to the enclave of {host}, they are"
        " opened in a child of it for each job, kept nowhere, and gone with the child",
        owner=owner,
        host=host,
    )
    yield say(
        "    that rests on {host}'s key agent, which endorses that enclave: whoever holds it, or is"
        " root on that host without confidential hardware, could read these columns",
        host=host,
    )
