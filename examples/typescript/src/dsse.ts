// Signed statements: DSSE envelopes under Ed25519 (github.com/secure-systems-lab/dsse, v1.0.2).

import { createPublicKey, sign as signBytes, verify as verifyBytes, type KeyObject } from "node:crypto";

import { concat, digest, readPayload, sha256, Unacceptable, utf8 } from "./encoding.js";

const PUBLIC_BYTES = 32;
const KEYID_HEX = 32;

export interface Signature {
  readonly keyid: string;
  readonly sig: Uint8Array;
}

/** A payload, its type, and who signed it; nothing of it is checked yet. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly Signature[];
}

export function payloadType(kind: string): string {
  return `application/vnd.saferoom.${kind}.v1+json`;
}

/** The pre-authentication encoding: the bytes that a signature covers. Lengths count bytes. */
export function pae(type: string, payload: Uint8Array): Uint8Array {
  const name = utf8(type);
  return concat(utf8(`DSSEv1 ${name.length} `), name, utf8(` ${payload.length} `), payload);
}

/** A statement's name: the same whoever signed it. */
export function digestOf(envelope: Envelope): string {
  return digest(pae(envelope.payloadType, envelope.payload));
}

export function keyidOf(raw: Uint8Array): string {
  return `ed25519:${Buffer.from(sha256(raw)).toString("hex").slice(0, KEYID_HEX)}`;
}

/** Reads a public key of 32 bytes. */
export function verifyKey(raw: Uint8Array): KeyObject {
  if (raw.length !== PUBLIC_BYTES) throw new Unacceptable("an Ed25519 public key has 32 bytes");
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

export function rawOf(key: KeyObject): Uint8Array {
  const x = createPublicKey(key).export({ format: "jwk" }).x;
  if (x === undefined) throw new Unacceptable("not an Ed25519 key");
  return new Uint8Array(Buffer.from(x, "base64url"));
}

export function sign(kind: string, payload: Uint8Array, key: KeyObject): Envelope {
  const type = payloadType(kind);
  const sig = new Uint8Array(signBytes(null, pae(type, payload), key));
  return { payloadType: type, payload, signatures: [{ keyid: keyidOf(rawOf(key)), sig }] };
}

/** Checks one signature over bytes that are no envelope, as a checkpoint's. */
export function verifySignature(raw: Uint8Array, bytes: Uint8Array, sig: Uint8Array): void {
  if (!verifyBytes(null, bytes, verifyKey(raw), sig))
    throw new Unacceptable(`the signature is not by ${keyidOf(raw)}`);
}

/**
 * Opens an envelope as one kind of statement that this key signed.
 *
 * Signatures by other keys are passed over; one that names this key and is not by it is refused.
 */
export function open(envelope: Envelope, kind: string, raw: Uint8Array): Record<string, unknown> {
  const payload = peek(envelope, kind);
  const keyid = keyidOf(raw);
  const own = envelope.signatures.filter((each) => each.keyid === keyid);
  if (own.length !== 1) throw new Unacceptable(`the ${kind} is not signed by ${keyid}`);
  for (const each of own)
    verifySignature(raw, pae(envelope.payloadType, envelope.payload), each.sig);
  return payload;
}

/** Reads what an envelope says before anything vouches for it. */
export function peek(envelope: Envelope, kind: string): Record<string, unknown> {
  if (envelope.payloadType !== payloadType(kind))
    throw new Unacceptable(`expected a ${kind}, not ${envelope.payloadType}`);
  return readPayload(envelope.payload);
}
