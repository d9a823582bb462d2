"""What the room refuses in the caller's own fields, and what stops its operator.

Listed for translation: it is said in English where it is found.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.tongue import later

ROOMS: Final = (
    later("a backup holds the room's keys: name who may open it"),
    later("{source} can't be copied: {error}; a room that never ran has none"),
    later("{name} is of kind {kind}: ask by its own kind"),
    later("the enclave's verdict"),
    later("{owner} holds no {column}"),
    later(
        "{counted} of your requests to this subject are open, or not yet {days} days old: let it "
        "answer those, or wait until they are"
    ),
    later("it has {most} answers: the newest one counts"),
    later("no such use"),
    later("no such dispute"),
    later("a dispute of others"),
    later("a use of others"),
    later("no federation of yours"),
    later("your bank has said what it trained: what came of it is not kept any more"),
    later("the proposal does not name this bank"),
    later("banks mask their numbers by X25519 and AES; there is no form of that in SM2 and SM4"),
    later("another bank joined with this key: make one of your own"),
    later("not all banks that it names had joined"),
    later("issuers: nobody could connect any more"),
    later("there is none"),
    later("its note is of size {size}"),
    later("there are {size} entries"),
    later("the entries lead to another root"),
    later("it is missing"),
    later("its leaf is not of its commitment"),
    later("the subtree {level}/{index} is missing"),
    later("no checkpoint covers it"),
    later("the tree up to it is not the one marked"),
    later("{stored} subtrees for {size} entries"),
    later("its commitment is not of its statement"),
    later("its bytes have another digest"),
    later("it is not found by its digest"),
    later("its entry is of another statement"),
    later("its entry does not open"),
    later("it does not follow the one before"),
    later("it is not of the leaves below it"),
    later("entry {entry_idx} is of another statement"),
    later("{path} is damaged: {orig}"),
    later("a statement of another crypto suite than the room's, {suite}"),
    later("a page begins at 0 or later"),
    later("a commit failed: open the ledger again"),
    later("the disk refuses: {error}"),
    later("a caller's limit is from 1 to that in all"),
    later("the process may open {hard} files, and needs {needed}: fewer, or LimitNOFILE="),
    later("{caller} has {held} under way"),
    later('it is not "owner": the server starts this enclave'),
    later("it does not come first"),
    later("not a certificate in DER"),
    later("it is of the room {room}"),
    later(
        "show what members and enclaves' owners have seen, or say --nobody-saw-more once you "
        "have asked them"
    ),
    later("{entries} entries were seen and are lost"),
    later("what was sealed is no archive"),
    later("the backup's is another than in {card}"),
    later("it does not lead to the manifest's checkpoint"),
    later("the manifest names no such file"),
    later("it has another digest than in the manifest"),
    later("{path}: no room's card"),
    later("the log does not hold the handover yet: start the room, or wait a second"),
    later("the {use} key is not being handed over"),
    later("the charter of {owners} names the former {use} key"),
    later(
        "{path}: witnesses cosigned a log of {size} entries, and the {size2} here do not begin "
        "with them: this is an older copy, or another log"
    ),
    later("a cosignature is one line of a note"),
    later("{organisation} cosigns more often than every {least_seconds} s"),
    later("size {size} is not to be cosigned any more"),
    later("is dated {time}: set the witness's clock"),
    later("another organisation's witness has this key"),
    later("a witness has another name than the log"),
    later("{others} witnesses have cosigned this one"),
    later("another organisation's witness has this name and id"),
    later("{owner}'s own people hand this in"),
    later("handed in by an organisation it does not name"),
    later("version {version} after version {newest}"),
    later("not the certificate derived here"),
    later("approved under a charter that is not in force"),
    later("no such release certificate"),
    later("it asks nothing of {owner}"),
    later("another owner's agreement"),
    later("the first charter has version 1"),
    later("are not the room's keys"),
    later("approved by the same approver: withdraw it"),
    later("a word of {owner}'s enclave on a question"),
    later("it shows nothing of this log ({detail})"),
    later("not JSON"),
    later("another history of the first {size} entries was seen"),
    later("the enclave of {owner} has no keys yet"),
    later("the enclave ended"),
    later("a handover of the {use} key is under way"),
    later("{path} does not open"),
    later("{path} is no database of ours"),
    later("{path} is as it was: bringing it up to date takes twice its size in free disk"),
    later("no owner has a charter yet"),
    later("answered under a charter that is not in force"),
    later("enclaves.brokers: a socket's path has at most {socket_path_bytes} bytes"),
    later("tracing.endpoint: OpenTelemetry is not installed: pip install saferoom[otel]"),
)
"""A test finds each in the code that gives it."""
