// The npm packages of Anthropic, Ollama and Vercel, and OpenAI's Responses, against a real server; run by
// test_clients_node.py, which gives the address and the key in TACIT_URL and TACIT_KEY.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const modules = process.env.TACIT_E2E_NODE_MODULES;
const require = createRequire(pathToFileURL(path.join(modules, "anchor.js")));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: OpenAI } = await load("openai");
const { default: Anthropic } = await load("@anthropic-ai/sdk");
const { Ollama } = await load("ollama");
const { generateText, streamText, generateObject, embed, tool, jsonSchema } = await load("ai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

const model = "smollm2:135m";
const url = process.env.TACIT_URL;
const apiKey = process.env.TACIT_KEY;
const timeout = 120_000;
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const schema = {
  type: "object", additionalProperties: false, required: ["city", "unit"],
  properties: { city: { type: "string", maxLength: 20 }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
};
const verdict = {
  type: "object", additionalProperties: false, required: ["sunny"], properties: { sunny: { type: "boolean" } },
};

const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0, timeout });

test("anthropic: message, stream and tool", { timeout }, async () => {
  const whole = await anthropic.messages.create({ model, max_tokens: 16, temperature: 0, messages });
  assert.equal(whole.content[0].type, "text");
  const stream = anthropic.messages.stream({ model, max_tokens: 16, temperature: 0, messages });
  const final = await stream.finalMessage();
  assert.equal(final.content[0].text, whole.content[0].text);
  const used = await anthropic.messages.stream({
    model, max_tokens: 120, temperature: 0, messages, tools: [{ name: "get_weather", input_schema: schema }],
    tool_choice: { type: "tool", name: "get_weather", disable_parallel_tool_use: true },
  }).finalMessage();
  assert.equal(used.stop_reason, "tool_use");
  assert.deepEqual(Object.keys(used.content.at(-1).input).sort(), ["city", "unit"]);
  const count = await anthropic.messages.countTokens({ model, messages });
  assert.equal(count.input_tokens, whole.usage.input_tokens);
});

test("anthropic: errors are its own classes", { timeout }, async () => {
  const stranger = new Anthropic({ baseURL: url, apiKey: "wrong", maxRetries: 0, timeout });
  await assert.rejects(stranger.messages.create({ model, max_tokens: 1, messages }), Anthropic.AuthenticationError);
  await assert.rejects(anthropic.messages.create({ model: "none", max_tokens: 1, messages }), Anthropic.NotFoundError);
});

test("ollama: chat, stream, format and embed", { timeout }, async () => {
  const ollama = new Ollama({ host: url, headers: { Authorization: `Bearer ${apiKey}` } });
  const options = { temperature: 0, num_predict: 16 };
  const whole = await ollama.chat({ model, messages, options });
  let text = "";
  for await (const part of await ollama.chat({ model, messages, options, stream: true })) text += part.message.content;
  assert.equal(text, whole.message.content);
  const answer = await ollama.generate({ model, prompt: "Is it sunny?", format: verdict, options: { temperature: 0, num_predict: 100 } });
  assert.deepEqual(Object.keys(JSON.parse(answer.response)), ["sunny"]);
  const vectors = await ollama.embed({ model, input: ["a", "b"] });
  assert.equal(vectors.embeddings.length, 2);
  const models = await ollama.list();
  assert.ok(models.models.some((m) => m.name === model));
  await assert.rejects(ollama.chat({ model: "none", messages }), /no such model|not/i);
});

test("openai: a tool through the stream helper, Responses through theirs", { timeout }, async () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout });
  const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
  const chat = await client.chat.completions.stream({
    model, messages, max_tokens: 120, temperature: 0, tools, tool_choice: "required", parallel_tool_calls: false,
  }).finalChatCompletion();
  assert.deepEqual(Object.keys(JSON.parse(chat.choices[0].message.tool_calls[0].function.arguments)).sort(), ["city", "unit"]);
  const text = { format: { type: "json_schema", name: "verdict", schema: verdict } };
  const runner = client.responses.stream({ model, input: "Is it sunny?", temperature: 0, max_output_tokens: 100, text });
  const final = await runner.finalResponse();
  assert.deepEqual(Object.keys(JSON.parse(final.output_text)), ["sunny"]);
});

test("ai: text, stream, object, tool, embedding", { timeout }, async () => {
  const provider = createOpenAICompatible({ name: "tacit", baseURL: `${url}/v1`, apiKey, supportsStructuredOutputs: true });
  const common = { model: provider(model), temperature: 0, maxRetries: 0, prompt: messages[0].content };
  const whole = await generateText({ ...common, maxOutputTokens: 16 });
  let text = "";
  for await (const piece of streamText({ ...common, maxOutputTokens: 16 }).textStream) text += piece;
  assert.equal(text, whole.text);
  const object = await generateObject({ ...common, maxOutputTokens: 100, schema: jsonSchema(verdict) });
  assert.deepEqual(Object.keys(object.object), ["sunny"]);
  const called = await generateText({
    ...common, maxOutputTokens: 120, toolChoice: "required",
    tools: { get_weather: tool({ description: "The weather of a city.", inputSchema: jsonSchema(schema) }) },
  });
  assert.equal(called.toolCalls[0].toolName, "get_weather");
  const { embedding } = await embed({ model: provider.embeddingModel(model), value: "a cat" });
  assert.ok(embedding.length > 100);
});
