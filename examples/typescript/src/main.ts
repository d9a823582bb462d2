// node dist/main.js MEMBER-FOLDER TEMPLATE --subject CODE --purpose PURPOSE [--param NAME=VALUE]...

import { parseArgs } from "node:util";

import { ConnectError } from "@connectrpc/connect";

import { combine, openPart, type Opened } from "./answer.js";
import { Unacceptable } from "./encoding.js";
import { readProfile } from "./profile.js";
import { makeQuestion } from "./question.js";
import { Refused, Room } from "./room.js";

const USAGE =
  "usage: node dist/main.js MEMBER-FOLDER TEMPLATE --subject CODE --purpose PURPOSE [--param NAME=VALUE]...";

async function check(): Promise<object> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      subject: { type: "string" },
      purpose: { type: "string" },
      param: { type: "string", multiple: true, default: [] },
    },
  });
  const [folder, name, ...rest] = positionals;
  const { subject, purpose } = values;
  if (!folder || !name || rest.length > 0 || !subject || !purpose) throw new TypeError(USAGE);
  const profile = readProfile(folder);
  const room = new Room(profile);
  const view = await room.template(name);
  const { template, certificate } = view;
  const params = Object.fromEntries(values.param.map(pair));
  const asked = { template, certificate, subject, params, purpose };
  const question = await makeQuestion(profile, asked, new Date());
  const parts = await room.check(question);
  const opened: Opened[] = [];
  for (const part of parts) opened.push(await openPart(profile, question, view.grounds, part));
  if (JSON.stringify(opened.map((each) => each.owner)) !== JSON.stringify(view.owners))
    throw new Unacceptable("a part is missing, one too many, or out of order");
  return {
    answer: combine(opened.map((each) => each.truth)),
    request_id: question.id,
    parts: opened.map((each) => ({ ...each, index: Number(each.index), size: Number(each.size) })),
  };
}

function pair(written: string): [string, string | boolean] {
  const cut = written.indexOf("=");
  const value = written.slice(cut + 1);
  if (cut < 1 || value === "") throw new TypeError(`${written} is not NAME=VALUE`);
  return [written.slice(0, cut), value === "true" || (value === "false" ? false : value)];
}

function failure(error: unknown): object {
  if (error instanceof Refused)
    return { reason: error.reason, rule: error.words, places: error.faults, ...error.metadata };
  if (error instanceof Unacceptable) return { reason: "NOT_VERIFIED", rule: error.message };
  if (error instanceof ConnectError) return { reason: "UNAVAILABLE", rule: error.message };
  return { reason: "BAD_CONFIG", rule: error instanceof Error ? error.message : String(error) };
}

try {
  console.log(JSON.stringify(await check(), null, 1));
} catch (error) {
  console.log(JSON.stringify({ error: failure(error) }, null, 1));
  process.exitCode = 1;
}
