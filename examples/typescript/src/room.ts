// The connection: gRPC over mutual TLS, with the code that protoc-gen-es made of the room's protos.

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import type { Grounds, Part } from "./answer.js";
import { digestOf, peek, type Envelope } from "./dsse.js";
import { objectsOf, stringOf, Unacceptable } from "./encoding.js";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { CheckService } from "./gen/saferoom_proto/v1/check_pb.js";
import { EnvelopeSchema, type Envelope as Message } from "./gen/saferoom_proto/v1/evidence_pb.js";
import { LedgerService } from "./gen/saferoom_proto/v1/ledger_pb.js";
import { TemplateService } from "./gen/saferoom_proto/v1/template_pb.js";
import { countApprovals, openCharter } from "./owners.js";
import type { Profile } from "./profile.js";
import type { Question } from "./question.js";

const DEADLINE_MILLISECONDS = 15_000;
const TRIES = 4;
const FIRST_WAIT_MILLISECONDS = 100;

/** The room, or an owner's enclave, refused. Programs go by the reason, never by the words. */
export class Refused extends Error {
  constructor(
    readonly reason: string,
    readonly words: string,
    readonly metadata: Readonly<Record<string, string>>,
    readonly faults: readonly { readonly field: string; readonly rule: string }[],
  ) {
    super(`${reason}: ${words}`);
  }
}

/** A template with the certificate that its owners approved. */
export interface View {
  readonly template: string;
  readonly certificate: string;
  /** In order; the parts of an answer come in the same order. */
  readonly owners: readonly string[];
  readonly grounds: Grounds;
}

export class Room {
  readonly #profile: Profile;
  readonly #checks: Client<typeof CheckService>;
  readonly #templates: Client<typeof TemplateService>;
  readonly #ledger: Client<typeof LedgerService>;

  constructor(profile: Profile) {
    const transport = createGrpcTransport({
      baseUrl: `https://${profile.address}`,
      nodeOptions: profile.tls,
      defaultTimeoutMs: DEADLINE_MILLISECONDS,
      interceptors: [retrying],
    });
    this.#profile = profile;
    this.#checks = createClient(CheckService, transport);
    this.#templates = createClient(TemplateService, transport);
    this.#ledger = createClient(LedgerService, transport);
  }

  /** Fetches a template by name or digest, and finds the certificate that all its owners approved. */
  async template(name: string): Promise<View> {
    const told = await refusing(this.#templates.getTemplate({ template: name }));
    const template = envelopeOf(told.template);
    const said = peek(template, "template");
    const id = digestOf(template);
    if (name !== id && name !== said["name"]) throw new Unacceptable("another template than asked");
    const { origin } = this.#profile.log;
    const charters = new Map(
      told.charters
        .map((each) => openCharter(envelopeOf(each), origin, this.#profile.roots))
        .map((charter) => [charter.owner, charter]),
    );
    const approvals = told.approvals.map(envelopeOf);
    const certificate = told.certificates.map(envelopeOf).at(-1);
    if (certificate === undefined) throw new Unacceptable("the template has no release certificate");
    const certified = peek(certificate, "release-certificate");
    if (certified["template"] !== id) throw new Unacceptable("a certificate of another template");
    const owners = objectsOf(certified, "parts").map((part) => stringOf(part, "owner"));
    for (const owner of owners) {
      const charter = charters.get(owner);
      if (charter === undefined) throw new Unacceptable(`the charter of ${owner} is missing`);
      countApprovals(charter, approvals, id, digestOf(certificate));
    }
    const fetch = (digest: string): Promise<Envelope> => this.#statement(digest);
    return {
      template: id,
      certificate: digestOf(certificate),
      owners,
      grounds: { charters, approvals, fetch },
    };
  }

  /** Asks a signed question, the first time or again. */
  async check(question: Question): Promise<Part[]> {
    const request = create(EnvelopeSchema, {
      payloadType: question.envelope.payloadType,
      payload: question.envelope.payload,
      signatures: question.envelope.signatures.map(({ keyid, sig }) => ({ keyid, sig })),
    });
    const told = await refusing(this.#checks.check({ request }));
    if (told.requestId !== question.id) throw new Unacceptable("the room answered another question");
    return told.parts.map(({ release, sealed }) => ({
      release: envelopeOf(release?.statement),
      salt: release?.salt ?? new Uint8Array(),
      proof: release?.proof ?? "",
      sealed,
    }));
  }

  async #statement(digest: string): Promise<Envelope> {
    const told = await refusing(this.#ledger.getStatement({ digest }));
    return envelopeOf(told.recorded?.statement);
  }
}

/** Tries again where the room was not there: every call of this client does the same thing twice. */
const retrying: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await next(request);
    } catch (error) {
      const again = ConnectError.from(error).code === Code.Unavailable && attempt < TRIES;
      if (!again) throw error;
      await new Promise((wake) => setTimeout(wake, FIRST_WAIT_MILLISECONDS * 2 ** (attempt - 1)));
    }
  }
};

function envelopeOf(message: Message | undefined): Envelope {
  if (message === undefined) throw new Unacceptable("the room left a statement out");
  return message;
}

async function refusing<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const failed = ConnectError.from(error);
    const info = failed.findDetails(ErrorInfoSchema).find((each) => each.domain === "saferoom");
    if (info === undefined) throw failed;
    const faults = failed
      .findDetails(BadRequestSchema)
      .flatMap((each) => each.fieldViolations)
      .map(({ field, description }) => ({ field, rule: description }));
    throw new Refused(info.reason, failed.rawMessage, info.metadata, faults);
  }
}
