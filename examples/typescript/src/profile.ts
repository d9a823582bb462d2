// A member's folder, as `saferoom issuer enrol` writes it: which room, who, its keys, what it pinned.

import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { stringOf, unb64, Unacceptable } from "./encoding.js";
import type { Log } from "./log.js";

export interface Profile {
  readonly organisation: string;
  /** Host and port. */
  readonly address: string;
  readonly log: Log;
  /** The owners' charter roots, Ed25519, by owner. */
  readonly roots: ReadonlyMap<string, Uint8Array>;
  readonly signingKey: KeyObject;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

export function readProfile(folder: string): Profile {
  const card = readJson(join(folder, "room.json"));
  const member = readJson(join(folder, "identity.json"));
  const trust = readJson(join(folder, "trust.json"));
  const origin = stringOf(trust, "origin");
  if (stringOf(card, "origin") !== origin)
    throw new Unacceptable("trust.json is about another room than room.json");
  const roots = Object.entries(trust["charter_roots"] as Record<string, string>);
  return {
    organisation: stringOf(member, "organisation"),
    address: stringOf(card, "address"),
    log: { origin, key: unb64(stringOf(trust, "ledger_key")) },
    roots: new Map(roots.map(([owner, root]) => [owner, unb64(root)])),
    signingKey: createPrivateKey(readFileSync(join(folder, "signing.key"))),
    tls: {
      ca: stringOf(card, "tls_root"),
      cert: readFileSync(join(folder, "tls.pem"), "utf8"),
      key: readFileSync(join(folder, "tls.key"), "utf8"),
    },
  };
}

function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}
