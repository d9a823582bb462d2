// A statement's place in the room's log: its leaf, the path to the root, the signed checkpoint.
// RFC 9162 section 2.1 (the tree), C2SP signed-note, tlog-checkpoint and tlog-proof (their texts).

import { createHmac } from "node:crypto";

import { verifySignature } from "./dsse.js";
import { b64, equal, sha256, unb64, Unacceptable, utf8 } from "./encoding.js";

const SALT_BYTES = 32;
const HASH_BYTES = 32;
const KEY_ID_BYTES = 4;
const ED25519 = 1;

/** Whose log it is, and the key that signs its checkpoints; both are pinned. */
export interface Log {
  readonly origin: string;
  readonly key: Uint8Array;
}

export interface Checkpoint {
  readonly size: bigint;
  readonly root: Uint8Array;
}

/** Checks that a statement of this digest stands in the log; gives its index and the checkpoint. */
export function verifyRecorded(
  log: Log,
  statement: string,
  salt: Uint8Array,
  proof: string,
): { index: bigint; checkpoint: Checkpoint } {
  if (salt.length !== SALT_BYTES) throw new Unacceptable("an entry's salt has 32 bytes");
  const { index, hashes, note } = parseProof(proof);
  const checkpoint = openCheckpoint(note, log);
  verifyInclusion(index, checkpoint, leafHash(leafOf(salt, statement)), hashes);
  return { index, checkpoint };
}

/** The leaf: a salted commitment, HMAC-SHA256(salt, digest), on a line after what it is. */
export function leafOf(salt: Uint8Array, statement: string): Uint8Array {
  const commitment = createHmac("sha256", salt).update(statement, "ascii").digest();
  return utf8(`saferoom entry v1\n${b64(commitment)}\n`);
}

export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(Uint8Array.of(0), leaf);
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Uint8Array.of(1), left, right);
}

/** Reads a checkpoint that this log signed; lines of other signers are passed over. */
export function openCheckpoint(note: string, log: Log): Checkpoint {
  const cut = note.lastIndexOf("\n\n");
  const body = note.slice(0, cut + 1);
  const lines = note.slice(cut + 2).split("\n");
  if (cut < 1 || lines.pop() !== "") throw new Unacceptable("not a signed note");
  const own = sha256(utf8(`${log.origin}\n`), Uint8Array.of(ED25519), log.key).slice(0, KEY_ID_BYTES);
  let signed = false;
  for (const line of lines) {
    const [dash, name, written, ...rest] = line.split(" ");
    if (dash !== "\u2014" || !name || !written || rest.length > 0)
      throw new Unacceptable("a signature line is a dash, a name and base64");
    const bytes = unb64(written);
    if (name !== log.origin || !equal(bytes.slice(0, KEY_ID_BYTES), own)) continue;
    verifySignature(log.key, utf8(body), bytes.slice(KEY_ID_BYTES));
    signed = true;
  }
  if (!signed) throw new Unacceptable("the checkpoint is not signed by the pinned log");
  const [origin, size, root] = body.split("\n");
  if (origin !== log.origin || size === undefined || root === undefined)
    throw new Unacceptable("the checkpoint is of another log");
  const hash = unb64(root);
  if (hash.length !== HASH_BYTES) throw new Unacceptable("a root has 32 bytes");
  return { size: decimal(size), root: hash };
}

/** Reads a proof: a header, the index, hashes from the leaf upwards, an empty line, the note. */
export function parseProof(proof: string): { index: bigint; hashes: Uint8Array[]; note: string } {
  const cut = proof.indexOf("\n\n");
  const [header, ...lines] = proof.slice(0, cut).split("\n");
  if (cut < 0 || header !== "c2sp.org/tlog-proof@v1") throw new Unacceptable("not a tlog-proof");
  if (lines[0]?.startsWith("extra ")) lines.shift();
  const index = lines.shift();
  if (!index?.startsWith("index ")) throw new Unacceptable("a proof names its leaf's index");
  const hashes = lines.map(unb64);
  if (hashes.some((each) => each.length !== HASH_BYTES)) throw new Unacceptable("a hash has 32 bytes");
  return { index: decimal(index.slice("index ".length)), hashes, note: proof.slice(cut + 2) };
}

/** RFC 9162 section 2.1.3.2, with its names. */
export function verifyInclusion(
  index: bigint,
  checkpoint: Checkpoint,
  leaf: Uint8Array,
  hashes: readonly Uint8Array[],
): void {
  if (index >= checkpoint.size) throw new Unacceptable("no such leaf in the tree");
  let fn = index;
  let sn = checkpoint.size - 1n;
  let hashed = leaf;
  for (const sibling of hashes) {
    if (sn === 0n) throw new Unacceptable("the inclusion proof is too long");
    if ((fn & 1n) === 1n || fn === sn) {
      hashed = nodeHash(sibling, hashed);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      hashed = nodeHash(hashed, sibling);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n || !equal(hashed, checkpoint.root))
    throw new Unacceptable("the inclusion proof does not lead to the root");
}

function decimal(written: string): bigint {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(written)) throw new Unacceptable("not a decimal number");
  return BigInt(written);
}
