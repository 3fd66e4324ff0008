// Asks a guarded server by OpenAI's Node SDK, and prints what came as one JSON object.
//   node node_sdk.mjs BASE_URL < messages.json
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const { run, cut, tool, schema } = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "any", maxRetries: 0 });
const asked = { model: "embedded", temperature: 0, max_tokens: 60 };
const found = {};

const whole = await client.chat.completions.create({ ...asked, messages: run });
found.answer = whole.choices[0].message.content;
found.action = whole.guardrail.action;

const raw = await client.chat.completions.create({ ...asked, messages: run }).asResponse();
found.header = raw.headers.get("x-guardrail-action");

found.pieces = [];
const options = { stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create({ ...asked, messages: cut, ...options })) {
  if (chunk.choices[0]?.delta?.content) found.pieces.push(chunk.choices[0].delta.content);
  if (chunk.usage) found.tokens = chunk.usage.completion_tokens;
  if (chunk.guardrail) found.streamed = chunk.guardrail.action;
}

const forced = { tools: [tool], tool_choice: "required" };
const calls = await client.chat.completions
  .stream({ ...asked, messages: cut, ...forced })
  .finalChatCompletion();
const [call] = calls.choices[0].message.tool_calls;
found.call = { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
const heard = [...cut, calls.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }];
const told = await client.chat.completions.create({ ...asked, messages: heard, tools: [tool] });
found.told = told.choices[0].message.role;

const form = { type: "json_schema", json_schema: { name: "look", schema, strict: true } };
const parsed = await client.chat.completions.parse({ ...asked, messages: cut, response_format: form });
found.parsed = parsed.choices[0].message.parsed;
const refused = await client.chat.completions.parse({ ...asked, messages: run, response_format: form });
found.refused = refused.choices[0].message;

try {
  await client.chat.completions.create({ ...asked, messages: cut, n: 2 });
} catch (error) {
  found.error = { kind: error.constructor.name, status: error.status, code: error.code, param: error.param };
}

const leaving = await client.chat.completions.create({ ...asked, messages: cut, stream: true });
for await (const _ of leaving) break; // which closes the line
found.models = (await client.models.list()).data.map((each) => each.id);
console.log(JSON.stringify(found));
