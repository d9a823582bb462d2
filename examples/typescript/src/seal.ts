// The key that an answer is sealed to: HPKE (RFC 9180, base mode) with ML-KEM-768 + X25519 (0x647a),
// HKDF-SHA256 and AES-256-GCM. Node has ML-KEM of its own only from 24.7 on; noble's works everywhere.

import { KEM_MLKEM768_X25519 } from "@panva/hpke-noble";
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256 } from "hpke";

import { Unacceptable } from "./encoding.js";

const SUITE = new CipherSuite(KEM_MLKEM768_X25519, KDF_HKDF_SHA256, AEAD_AES_256_GCM);

export class ReplyKey {
  readonly #pair: Awaited<ReturnType<typeof SUITE.GenerateKeyPair>>;
  /** 1,216 bytes: ML-KEM's key, then X25519's. */
  readonly public: Uint8Array;

  private constructor(pair: Awaited<ReturnType<typeof SUITE.GenerateKeyPair>>, shown: Uint8Array) {
    this.#pair = pair;
    this.public = shown;
  }

  static async generate(): Promise<ReplyKey> {
    const pair = await SUITE.GenerateKeyPair(false);
    return new ReplyKey(pair, await SUITE.SerializePublicKey(pair.publicKey));
  }

  /** Makes the key that belongs to a 32-byte seed; for test vectors. */
  static async fromSeed(seed: Uint8Array, shown: Uint8Array): Promise<ReplyKey> {
    const publicKey = await SUITE.DeserializePublicKey(shown);
    return new ReplyKey({ privateKey: await SUITE.DeserializePrivateKey(seed), publicKey }, shown);
  }

  /** Opens what was sealed to this key under the same info: 1,120 bytes of encapsulation, then the rest. */
  async open(sealed: Uint8Array, info: Uint8Array): Promise<Uint8Array> {
    const length = SUITE.KEM.Nenc;
    try {
      return await SUITE.Open(this.#pair, sealed.slice(0, length), sealed.slice(length), { info });
    } catch {
      throw new Unacceptable("the seal does not open");
    }
  }
}
