// The `openai` npm package against a real server, run by test_openai_node.py, which gives the address
// and the key in TACIT_URL and TACIT_KEY.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const modules = process.env.TACIT_E2E_NODE_MODULES;
const require = createRequire(pathToFileURL(path.join(modules, "anchor.js")));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));

const model = "smollm2:135m";
const messages = [{ role: "user", content: "Name three colours." }];
const timeout = 120_000;
const client = new OpenAI({ baseURL: `${process.env.TACIT_URL}/v1`, apiKey: process.env.TACIT_KEY, maxRetries: 0, timeout });

test("answers", { timeout }, async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0 });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("streams the same answer", { timeout }, async () => {
  const whole = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0 });
  const stream = await client.chat.completions.create({
    model, messages, max_tokens: 24, temperature: 0, stream: true, stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(
    [usage.prompt_tokens, usage.completion_tokens], [whole.usage.prompt_tokens, whole.usage.completion_tokens]);
});

test("the stream helper collects", { timeout }, async () => {
  const runner = client.chat.completions.stream({ model, messages, max_tokens: 12, temperature: 0 });
  const answer = await runner.finalChatCompletion();
  assert.ok(answer.choices[0].message.content.length > 0);
});

test("an aborted stream does not disturb the next", { timeout }, async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 400, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break; // leaves the loop, which aborts the request
  }
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 4 });
  assert.ok(answer.usage.completion_tokens >= 1);
});

test("lists and retrieves models", { timeout }, async () => {
  const models = await client.models.list();
  assert.ok(models.data.some((m) => m.id === model));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test("a wrong key is an AuthenticationError", { timeout }, async () => {
  const stranger = new OpenAI({ baseURL: `${process.env.TACIT_URL}/v1`, apiKey: "tk-wrong", maxRetries: 0, timeout });
  await assert.rejects(stranger.models.list(), (e) => e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
  await assert.rejects(
    stranger.chat.completions.create({ model, messages, stream: true }), (e) => e instanceof OpenAI.AuthenticationError);
});

test("an unknown model is a NotFoundError", { timeout }, async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "no-such-model", messages }),
    (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
});

test("a wrong parameter is a BadRequestError that names it", { timeout }, async () => {
  await assert.rejects(
    client.chat.completions.create({ model, messages, temperature: 99 }),
    (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature" && e.type === "invalid_request_error");
});
