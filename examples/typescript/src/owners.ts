// What stands between a pinned charter root and an enclave's key, and what the owner approved.

import { digestOf, keyidOf, open, peek, type Envelope } from "./dsse.js";
import { objectsOf, stringOf, unb64, Unacceptable } from "./encoding.js";

/** A charter that its pinned root signed. */
export interface Charter {
  readonly owner: string;
  readonly digest: string;
  /** The approvers' keys by their names. */
  readonly approvers: ReadonlyMap<string, Uint8Array>;
  readonly threshold: number;
  readonly keyAgent: Uint8Array;
}

export function openCharter(
  envelope: Envelope,
  room: string,
  roots: ReadonlyMap<string, Uint8Array>,
): Charter {
  const owner = stringOf(peek(envelope, "charter"), "owner");
  const root = roots.get(owner);
  if (root === undefined) throw new Unacceptable(`no charter root of ${owner} is pinned`);
  const charter = open(envelope, "charter", root);
  if (stringOf(charter, "room") !== room) throw new Unacceptable("a charter of another room");
  if (keyidOf(unb64(stringOf(charter, "root"))) !== keyidOf(root))
    throw new Unacceptable(`the charter of ${owner} names another root`);
  const threshold = charter["threshold"];
  if (typeof threshold !== "number" || threshold < 1) throw new Unacceptable("no threshold");
  return {
    owner,
    digest: digestOf(envelope),
    approvers: new Map(
      objectsOf(charter, "approvers").map((each) => [
        stringOf(each, "name"),
        unb64(stringOf(each, "key")),
      ]),
    ),
    threshold,
    keyAgent: unb64(stringOf(charter, "key_agent")),
  };
}

/**
 * Gives the digests of the approvals that count for exactly these bytes: each by an approver of the
 * charter, naming template, certificate and charter, as many as the charter asks.
 */
export function countApprovals(
  charter: Charter,
  approvals: readonly Envelope[],
  template: string,
  certificate: string,
): string[] {
  const counted = new Map<string, string>();
  for (const envelope of approvals) {
    const said = peek(envelope, "approval");
    const key = charter.approvers.get(stringOf(said, "approver"));
    const about = [said["owner"], said["charter"], said["template"], said["certificate"]];
    const wanted = [charter.owner, charter.digest, template, certificate];
    if (key === undefined || about.some((each, place) => each !== wanted[place])) continue;
    if (!isSigned(envelope, key) || counted.has(keyidOf(key))) continue;
    counted.set(keyidOf(key), digestOf(envelope));
  }
  if (counted.size < charter.threshold)
    throw new Unacceptable(
      `${charter.owner} has given ${counted.size} of ${charter.threshold} approvals`,
    );
  return [...counted.values()].sort();
}

/** An approval that does not verify does not count; those that do may suffice. */
function isSigned(envelope: Envelope, key: Uint8Array): boolean {
  try {
    open(envelope, "approval", key);
    return true;
  } catch {
    return false;
  }
}

/** Gives the key of the enclave that the owner's key agent endorsed, in force at a moment. */
export function openEndorsement(
  envelope: Envelope,
  charter: Charter,
  room: string,
  moment: Date,
): Uint8Array {
  const endorsement = open(envelope, "endorsement", charter.keyAgent);
  const about = [endorsement["owner"], endorsement["room"], endorsement["charter"]];
  if (about.some((each, place) => each !== [charter.owner, room, charter.digest][place]))
    throw new Unacceptable("an endorsement of another owner, room or charter");
  const from = Date.parse(stringOf(endorsement, "valid_from"));
  const to = Date.parse(stringOf(endorsement, "valid_to"));
  if (!(from <= moment.getTime() && moment.getTime() < to))
    throw new Unacceptable("the endorsement was not in force");
  return unb64(stringOf(endorsement, "identity"));
}
