// Answers questions about deliveries, one line of JSON each, with Svix's own package.
import { createInterface } from "node:readline";
import { Webhook } from "svix";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, id, timestamp, body, signature } = JSON.parse(line);
  const hooks = new Webhook(secret);
  const answer = { signature: hooks.sign(id, new Date(timestamp * 1000), body) };
  try {
    hooks.verify(body, { "svix-id": id, "svix-timestamp": String(timestamp), "svix-signature": signature });
    answer.accepted = true;
  } catch {
    answer.accepted = false;
  }
  console.log(JSON.stringify(answer));
}
