// An owner's part of an answer: verified step by step, and only then opened.

import { digestOf, open, peek, type Envelope } from "./dsse.js";
import { digest, stringOf, Unacceptable, utf8 } from "./encoding.js";
import { verifyRecorded } from "./log.js";
import { countApprovals, openEndorsement, type Charter } from "./owners.js";
import type { Profile } from "./profile.js";
import type { Question } from "./question.js";

export type Truth = "yes" | "no" | "not_found";

const ANSWER_BYTES = 50;
const TRUTHS: readonly Truth[] = ["no", "yes", "not_found"];

/** A recorded release and the sealed answer, as they came. */
export interface Part {
  readonly release: Envelope;
  readonly salt: Uint8Array;
  readonly proof: string;
  readonly sealed: Uint8Array;
}

/** What a part was verified to say, and where it stands in the log. */
export interface Opened {
  readonly owner: string;
  readonly truth: Truth;
  readonly release: string;
  readonly index: bigint;
  readonly size: bigint;
}

/** What the client holds about the owners of a template. */
export interface Grounds {
  readonly charters: ReadonlyMap<string, Charter>;
  readonly approvals: readonly Envelope[];
  /** Brings a statement by its digest. */
  readonly fetch: (digest: string) => Promise<Envelope>;
}

export async function openPart(
  profile: Profile,
  question: Question,
  grounds: Grounds,
  part: Part,
): Promise<Opened> {
  const { request } = question;
  const room = profile.log.origin;
  // Step 1: the owner's charter, and the enclave that its key agent endorsed.
  const said = peek(part.release, "release");
  const owner = stringOf(said, "owner");
  const charter = grounds.charters.get(owner);
  if (charter === undefined) throw new Unacceptable(`the template does not touch ${owner}`);
  const named = stringOf(said, "endorsement");
  const endorsement = await grounds.fetch(named);
  if (digestOf(endorsement) !== named) throw new Unacceptable("another endorsement than named");
  const moment = new Date(stringOf(said, "time"));
  const enclave = openEndorsement(endorsement, charter, room, moment);
  // Step 2: the enclave's word, and that it is about this very question, asked now.
  const release = open(part.release, "release", enclave);
  requireSame(release, {
    room,
    request: question.id,
    institution: request.institution,
    template: request.template,
    certificate: request.certificate,
    charter: charter.digest,
    outcome: "answered",
  });
  if (!(request.not_before <= stringOf(release, "time") && stringOf(release, "time") < request.not_after))
    throw new Unacceptable("answered outside of the question's window");
  // Step 3: what allowed it.
  const approvals = countApprovals(charter, grounds.approvals, request.template, request.certificate);
  if (JSON.stringify(release["approvals"]) !== JSON.stringify(approvals))
    throw new Unacceptable("the release names other approvals");
  // Step 4: its place in the room's log.
  const id = digestOf(part.release);
  const { index, checkpoint } = verifyRecorded(profile.log, id, part.salt, part.proof);
  // Step 5: the seal, and the answer under its commitment.
  const answer = await question.replyKey.open(part.sealed, sealInfo(question.id, owner));
  if (digest(answer) !== release["answer"])
    throw new Unacceptable("not the answer that the release commits to");
  return { owner, truth: truthOf(answer), release: id, index, size: checkpoint.size };
}

/** A seal fits one question and one owner only. */
export function sealInfo(request: string, owner: string): Uint8Array {
  return utf8(`saferoom answer v1\n${request}\n${owner}`);
}

/** Reads the 50 bytes: format 1, kind 1, the value in 16 bytes, a salt of 32. */
export function truthOf(answer: Uint8Array): Truth {
  if (answer.length !== ANSWER_BYTES || answer[0] !== 1 || answer[1] !== 1)
    throw new Unacceptable("not an answer of a known format and kind");
  const value = BigInt(`0x${Buffer.from(answer.slice(2, 18)).toString("hex")}`);
  const truth = value < 3n ? TRUTHS[Number(value)] : undefined;
  if (truth === undefined) throw new Unacceptable("not one of the three answers");
  return truth;
}

/** Folds the parts of a conjunction: SQL's AND over yes, no and not found. */
export function combine(truths: readonly Truth[]): Truth {
  if (truths.includes("no")) return "no";
  return truths.includes("not_found") ? "not_found" : "yes";
}

function requireSame(said: Record<string, unknown>, wanted: Record<string, string>): void {
  for (const [field, value] of Object.entries(wanted))
    if (said[field] !== value) throw new Unacceptable(`the release names another ${field}`);
}
