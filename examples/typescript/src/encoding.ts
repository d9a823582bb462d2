// Bytes and their written forms: base64, digests, and JSON in the one encoding of statements.

import { createHash } from "node:crypto";

/** What does not verify, is not well formed, or is not what it should be. */
export class Unacceptable extends Error {}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** Standard base64 with padding. */
export function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Reads base64 in its one canonical form: Node passes over what is none. */
export function unb64(written: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(written, "base64"));
  if (b64(bytes) !== written) throw new Unacceptable("not canonical base64");
  return bytes;
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** Names bytes by their digest: `sha256:` and 64 lower-case hex digits. */
export function digest(...parts: readonly Uint8Array[]): string {
  return `sha256:${Buffer.from(sha256(...parts)).toString("hex")}`;
}

/**
 * Reads a payload: one JSON object in the one encoding of its kind.
 *
 * What `JSON.stringify` writes of it must be the very bytes that were signed. That refuses white
 * space, a key that stands twice (`JSON.parse` would keep the last) and escapes that need not be.
 */
export function readPayload(bytes: Uint8Array): Record<string, unknown> {
  const written = text(bytes);
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    throw new Unacceptable("a payload is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Unacceptable("a payload is no JSON object");
  if (JSON.stringify(value) !== written)
    throw new Unacceptable("a payload is not in the one encoding of its kind");
  return value as Record<string, unknown>;
}

/** Gives a field of a payload that must be a string. */
export function stringOf(payload: Record<string, unknown>, field: string): string {
  const value = payload[field];
  if (typeof value !== "string") throw new Unacceptable(`${field} is no string`);
  return value;
}

/** Gives a field of a payload that must be a list of objects. */
export function objectsOf(payload: Record<string, unknown>, field: string): Record<string, unknown>[] {
  const value = payload[field];
  if (!Array.isArray(value) || value.some((each) => typeof each !== "object" || each === null))
    throw new Unacceptable(`${field} is no list of objects`);
  return value as Record<string, unknown>[];
}
