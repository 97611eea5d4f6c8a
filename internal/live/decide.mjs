// Decides requests, one line of JSON each, with Clerk's own package.
import { createInterface } from "node:readline";
import { createClerkClient } from "@clerk/backend";

// The clock is the request's.
let now = Date.now();
const SystemDate = Date;
globalThis.Date = class extends SystemDate {
  constructor(...parts) {
    if (parts.length) super(...parts);
    else super(now);
  }
  static now() {
    return now;
  }
};

// Only decisions are written to standard output.
for (const level of ["log", "info", "warn", "debug"]) console[level] = console.error;

const clients = new Map();

function clientFor(options) {
  const key = JSON.stringify(options);
  if (!clients.has(key)) clients.set(key, createClerkClient({ ...options, telemetry: { disabled: true } }));
  return clients.get(key);
}

async function decide({ options, method, url, headers }) {
  try {
    const request = new Request(url, { method, headers });
    const { client, ...perRequest } = options;
    const state = await clientFor(client).authenticateRequest(request, perRequest);
    const answer = { status: state.status, reason: state.reason ?? "", headers: {} };
    for (const [name, value] of state.headers) (answer.headers[name] ??= []).push(value);
    try {
      answer.auth = state.toAuth();
    } catch {
      answer.unusable = true;
    }
    return answer;
  } catch (error) {
    return { throws: String(error?.reason ?? error?.name), message: String(error?.message) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  now = question.now;
  process.stdout.write(JSON.stringify(await decide(question)) + "\n");
}
