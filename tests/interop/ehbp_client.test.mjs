// The npm package `ehbp`, unchanged, against `tacit serve --ehbp`, whose address and API key are in TACIT_URL
// and TACIT_KEY. tests/e2e/test_interop_ehbp.py runs it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createTransport } from "ehbp";

const { TACIT_URL: url, TACIT_KEY: apiKey, TACIT_PROMPT: prompt } = process.env;
const timeout = 120_000;
const headers = { "content-type": "application/json", authorization: `Bearer ${apiKey}` };
const question = (stream) => JSON.stringify({
  model: "smollm2:135m", max_tokens: 8, stream, messages: [{ role: "user", content: prompt }],
});
const endpoint = `${url}/v1/chat/completions`;

test("bodies are sealed both ways", { timeout }, async () => {
  const transport = await createTransport(url);
  const response = await transport.post(endpoint, question(false), { headers });
  assert.equal(response.status, 200);
  assert.equal((await response.json()).object, "chat.completion");
});

test("answers stream", { timeout }, async () => {
  const transport = await createTransport(url);
  const response = await transport.post(endpoint, question(true), { headers });
  let pieces = 0;
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    pieces += 1;
    text += piece;
  }
  assert.ok(pieces > 1, `${pieces} pieces`);
  assert.match(text, /data: \[DONE\]/);
});

test("errors are sealed, too", { timeout }, async () => {
  const transport = await createTransport(url);
  const response = await transport.post(endpoint, "{", { headers });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /"error"/);
  const stranger = await transport.post(endpoint, question(false), { headers: { "content-type": "application/json" } });
  assert.equal(stranger.status, 401);
});

test("an altered body is refused with EHBP's problem", { timeout }, async () => {
  const body = Buffer.from("0000001400112233445566778899aabbccddeeff00112233", "hex");
  const response = await fetch(endpoint, {
    method: "POST", body, headers: { ...headers, "ehbp-encapsulated-key": "11".repeat(32) },
  });
  assert.equal(response.status, 422);
  assert.equal((await response.json()).type, "urn:ietf:params:ehbp:error:key-config");
});
