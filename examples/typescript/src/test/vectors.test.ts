// The room's frozen bytes (tests/proto/golden.json), read and written by this client.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { combine, sealInfo, truthOf } from "../answer.js";
import { digestOf, keyidOf, open, rawOf, sign, verifyKey, type Envelope } from "../dsse.js";
import { b64, digest, readPayload, text, unb64, Unacceptable, utf8 } from "../encoding.js";
import { leafHash, leafOf, openCheckpoint, parseProof, verifyInclusion } from "../log.js";
import { encode, type CheckRequest } from "../question.js";
import { ReplyKey } from "../seal.js";

interface Golden {
  readonly statements: Record<string, { type: string; payload: string; digest: string }>;
  readonly others: Record<string, string>;
  /** Seeds and salts, so that other languages can make the same bytes. */
  readonly makers: Record<string, string>;
}

const GOLDEN = JSON.parse(readFileSync("../../tests/proto/golden.json", "utf8")) as Golden;

function other(name: string): string {
  const found = GOLDEN.others[name] ?? GOLDEN.makers[name];
  assert(found !== undefined, name);
  return found;
}

function statement(name: string): Envelope & { digest: string } {
  const found = GOLDEN.statements[name];
  assert(found !== undefined, name);
  return { payloadType: found.type, payload: utf8(found.payload), signatures: [], digest: found.digest };
}

/** Ed25519's PKCS #8 form is these bytes and the seed (RFC 8410 section 7). */
function signingKey(seed: Uint8Array): ReturnType<typeof createPrivateKey> {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" });
}

const KEY = signingKey(unb64(other("signing seed")));
const LOG = { origin: "city.example/room", key: unb64(other("ledger public key")) };

for (const name of Object.keys(GOLDEN.statements))
  test(`the ${name} has its digest and its one encoding`, () => {
    const envelope = statement(name);
    assert.equal(digestOf(envelope), envelope.digest);
    assert.deepEqual(utf8(JSON.stringify(readPayload(envelope.payload))), envelope.payload);
  });

test("a check request is written as the room reads it", () => {
  const golden = statement("check-request");
  const request = readPayload(golden.payload) as unknown as CheckRequest;
  const shuffled = Object.fromEntries(Object.entries(request).reverse()) as unknown as CheckRequest;
  assert.equal(text(encode(shuffled)), text(golden.payload));
});

test("a signature is the same as the room's own", () => {
  const envelope = JSON.parse(other("envelope")) as {
    payload: string;
    payloadType: string;
    signatures: { keyid: string; sig: string }[];
  };
  const [, kind] = /^application\/vnd\.saferoom\.(.+)\.v1\+json$/.exec(envelope.payloadType) ?? [];
  assert(kind !== undefined);
  const signed = sign(kind, unb64(envelope.payload), KEY);
  const [own] = signed.signatures;
  assert.equal(own?.keyid, other("signing key id"));
  assert.equal(keyidOf(rawOf(KEY)), own.keyid);
  const theirs = envelope.signatures.find((each) => each.keyid === own.keyid);
  assert.equal(b64(own.sig), theirs?.sig);
  assert.equal(open(signed, kind, rawOf(KEY))["room"], LOG.origin);
});

test("an altered payload, another type and a stranger's key are refused", () => {
  const signed = sign("check-request", statement("check-request").payload, KEY);
  const [own] = signed.signatures;
  assert(own !== undefined);
  const altered = { ...signed, payload: utf8(text(signed.payload).replace("pre-loan", "in-loan")) };
  assert.throws(() => open(altered, "check-request", rawOf(KEY)), Unacceptable);
  assert.throws(() => open(signed, "consent", rawOf(KEY)), Unacceptable);
  const stranger = rawOf(signingKey(new Uint8Array(32)));
  assert.throws(() => open(signed, "check-request", stranger), Unacceptable);
  const borrowed = { ...signed, signatures: [{ ...own, keyid: keyidOf(stranger) }] };
  assert.throws(() => open(borrowed, "check-request", stranger), Unacceptable);
});

for (const twisted of ['{"a":1,"a":2}', '{"a": 1}', '{"\\u0061":1}', "[1]", '{"a":1}\n', '{"a":1.0}'])
  test(`a payload that two readers could take differently is refused: ${twisted.trim()}`, () => {
    assert.throws(() => readPayload(utf8(twisted)), Unacceptable);
  });

test("base64 with stray bits is refused", () => {
  assert.throws(() => unb64("AB=="), Unacceptable);
  assert.throws(() => verifyKey(unb64("AAAA")), Unacceptable);
});

test("an entry's leaf and a checkpoint are the room's", () => {
  const salt = unb64(other("entry salt"));
  const leaf = leafOf(salt, other("entry statement"));
  assert.equal(text(leaf), other("entry leaf"));
  assert.equal(b64(leafHash(leaf)), other("entry leaf hash"));
  const checkpoint = openCheckpoint(other("checkpoint"), LOG);
  assert.equal(checkpoint.size, 3n);
});

test("a checkpoint of another log, or altered, is refused", () => {
  const note = other("checkpoint");
  assert.throws(() => openCheckpoint(note.replace("\n3\n", "\n4\n"), LOG), Unacceptable);
  assert.throws(() => openCheckpoint(note, { ...LOG, origin: "other.example/room" }), Unacceptable);
  assert.throws(() => openCheckpoint(note, { ...LOG, key: rawOf(KEY) }), Unacceptable);
});

test("a path that leads elsewhere, is too short or too long is refused", () => {
  const { index, hashes } = parseProof(other("proof"));
  const leaf = leafHash(utf8("a leaf"));
  const right = leafHash(utf8("its neighbour"));
  const pair = { size: 2n, root: unb64(digestB64(Uint8Array.of(1), leaf, right)) };
  verifyInclusion(0n, pair, leaf, [right]);
  assert.throws(() => verifyInclusion(1n, pair, leaf, [right]), Unacceptable);
  assert.throws(() => verifyInclusion(0n, pair, leaf, []), Unacceptable);
  assert.throws(() => verifyInclusion(0n, pair, leaf, [right, right]), Unacceptable);
  assert.throws(() => verifyInclusion(2n, pair, leaf, [right]), Unacceptable);
  assert.throws(() => verifyInclusion(index, pair, leaf, hashes), Unacceptable);
});

function digestB64(...parts: Uint8Array[]): string {
  return b64(new Uint8Array(Buffer.from(digest(...parts).slice("sha256:".length), "hex")));
}

test("what was sealed by the room's own code opens, and only as what it is", async () => {
  const info = other("seal info");
  const sealed = unb64(other("sealed"));
  const key = await ReplyKey.fromSeed(unb64(other("seal seed")), unb64(other("seal public key")));
  assert.equal(b64(await key.open(sealed, utf8(info))), other("opened"));
  assert.equal(text(sealInfo(digest(utf8("request")), "tax")), info);
  await assert.rejects(key.open(sealed, utf8(`${info}x`)), Unacceptable);
  await assert.rejects(key.open(sealed.slice(1), utf8(info)), Unacceptable);
});

test("a reply key has 1,216 public bytes and is another each time", async () => {
  const [one, two] = [await ReplyKey.generate(), await ReplyKey.generate()];
  assert.equal(one.public.length, 1216);
  assert.notEqual(b64(one.public), b64(two.public));
});

test("an answer reads as one of three, and parts fold as SQL's AND", () => {
  const answer = unb64(other("answer"));
  assert.equal(truthOf(answer), "not_found");
  assert.equal(digest(answer), other("answer commitment"));
  assert.throws(() => truthOf(answer.slice(1)), Unacceptable);
  const huge = answer.slice();
  huge[2] = 255;
  assert.throws(() => truthOf(huge), Unacceptable);
  assert.equal(combine(["yes", "not_found"]), "not_found");
  assert.equal(combine(["no", "not_found"]), "no");
  assert.equal(combine(["yes", "yes"]), "yes");
});
