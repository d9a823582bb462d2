// A signed question. Whoever keeps it can ask it again after any failure: it is charged once.

import { randomBytes } from "node:crypto";

import { digestOf, sign, type Envelope } from "./dsse.js";
import { b64, utf8 } from "./encoding.js";
import type { Profile } from "./profile.js";
import { ReplyKey } from "./seal.js";

const VALID_MILLISECONDS = 5 * 60_000;
/** What this clock may be ahead of an enclave's. */
const BACKDATED_MILLISECONDS = 60_000;
const NONCE_BYTES = 16;

/** What is asked; an enclave takes a window of at most ten minutes. */
export interface CheckRequest {
  readonly room: string;
  readonly institution: string;
  readonly template: string;
  readonly certificate: string;
  readonly subject: string;
  /** Numbers and class names as text, flags as booleans. */
  readonly params: Readonly<Record<string, string | boolean>>;
  readonly purpose: string;
  readonly nonce: string;
  readonly not_before: string;
  readonly not_after: string;
  readonly reply_key: string;
}

export interface Question {
  readonly request: CheckRequest;
  readonly envelope: Envelope;
  /** The digest by which everybody knows the request. */
  readonly id: string;
  readonly replyKey: ReplyKey;
}

/** Writes a request in its one encoding: these fields, in this order, without white space. */
export function encode(request: CheckRequest): Uint8Array {
  const { room, institution, template, certificate, subject, params } = request;
  const { purpose, nonce, not_before, not_after, reply_key } = request;
  return utf8(
    JSON.stringify({
      room,
      institution,
      template,
      certificate,
      subject,
      params,
      purpose,
      nonce,
      not_before,
      not_after,
      reply_key,
    }),
  );
}

export async function makeQuestion(
  profile: Profile,
  asked: Pick<CheckRequest, "template" | "certificate" | "subject" | "params" | "purpose">,
  now: Date,
): Promise<Question> {
  const replyKey = await ReplyKey.generate();
  const request: CheckRequest = {
    room: profile.log.origin,
    institution: profile.organisation,
    ...asked,
    nonce: b64(randomBytes(NONCE_BYTES)),
    not_before: new Date(now.getTime() - BACKDATED_MILLISECONDS).toISOString(),
    not_after: new Date(now.getTime() + VALID_MILLISECONDS).toISOString(),
    reply_key: b64(replyKey.public),
  };
  const envelope = sign("check-request", encode(request), profile.signingKey);
  return { request, envelope, id: digestOf(envelope), replyKey };
}
