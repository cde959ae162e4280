// sealed_client.mjs against the test vectors (TACIT_VECTORS) and against a real server, whose address and
// API key are in TACIT_URL and TACIT_KEY; TACIT_BRIEF_URL and TACIT_BRIEF_KEY name one whose keys live for 2
// seconds. tests/e2e/test_interop_js.py runs it.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  bucket, ByteStream, callerSecrets, encodeRequest, innerContext, openEvidence, openReplyFrames, readResponse,
  Refused, SealedClient, sealRequest, setupReceiver, suite, text,
} from "./sealed_client.mjs";

const { TACIT_URL: url, TACIT_KEY: apiKey, TACIT_VECTORS: vectorsFile } = process.env;
const timeout = 120_000;
const model = "smollm2:135m";
const none = Buffer.alloc(0);

const vectors = Object.fromEntries(
  readFileSync(vectorsFile, "utf8").split("\n").filter((line) => line && !line.startsWith("#")).map((line) => line.split(" = ")));
const vector = (name) => Buffer.from(vectors[name], "hex");

const flipped = (bytes, at) => {
  const changed = Buffer.from(bytes);
  changed[at < 0 ? bytes.length + at : at] ^= 1;
  return changed;
};

async function joined(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** What a server does: opens a request with its private key. Returns the prelude, the plaintexts and the inner context. */
async function openRequest(body, { privateKey, evidence, caller }) {
  const info = evidence.bindings.infoRequest;
  const stream = new ByteStream([body]);
  assert.deepEqual(await stream.take(7), evidence.bindings.hdr);
  const outer = setupReceiver(await stream.take(suite.Nenc), privateKey, info);
  const prelude = outer.open(none, await stream.take(await stream.varint()));
  const inner = innerContext(outer, info, caller.psk, caller.pskId);
  const plaintexts = [];
  for (let length = -1; length !== 0;) {
    length = await stream.varint();
    const ciphertext = length === 0 ? await stream.rest(1 << 20) : await stream.take(length);
    plaintexts.push(inner.open(length === 0 ? Buffer.from("final") : none, ciphertext));
  }
  return { prelude, plaintexts, inner };
}

const frameData = (plaintext) => plaintext.subarray(3, 3 + plaintext.readUInt16BE(1));

// --- the vectors ------------------------------------------------------------------------------

const evidence = openEvidence(vector("evidence"), vector("evidence_nonce"));
const caller = callerSecrets(vectors.api_key);

test("vectors: evidence", () => {
  assert.equal(evidence.fingerprint, vectors.fingerprint);
  assert.deepEqual(evidence.statement, vector("statement"));
  assert.deepEqual(evidence.bindings.infoRequest, vector("info_req"));
  assert.deepEqual(evidence.bindings.infoResponse, vector("info_res"));
});

test("vectors: evidence with any byte changed is refused", () => {
  const bytes = vector("evidence");
  for (let at = 0; at < bytes.length; at += 97) assert.throws(() => openEvidence(flipped(bytes, at), vector("evidence_nonce")), `byte ${at}`);
  assert.throws(() => openEvidence(bytes.subarray(0, -1), vector("evidence_nonce")));
  assert.throws(() => openEvidence(Buffer.concat([bytes, Buffer.of(0)]), vector("evidence_nonce")));
  assert.throws(() => openEvidence(bytes, crypto.randomBytes(32)), /nonce/);
});

test("vectors: the caller", () => {
  assert.deepEqual(caller.psk, vector("psk"));
  assert.deepEqual(caller.pskId, vector("psk_id"));
});

test("vectors: the request opens, and its inner context opens the reply", async () => {
  const { prelude, plaintexts, inner } = await openRequest(vector("request"), { privateKey: vector("server_private_key"), evidence, caller });
  assert.equal(prelude.length, 1280);
  assert.deepEqual(prelude.subarray(28, 44), vector("psk_id"));
  assert.deepEqual(Buffer.concat(plaintexts.map(frameData)), vector("request_bhttp"));

  const opener = {
    privateKey: vector("reply_private_key"), psk: inner.export("tacit sealed-http v1 reply", 32),
    info: vector("info_res"), frameSize: 2 ** prelude[1],
  };
  const open = (bytes) => joined(openReplyFrames([bytes], opener));
  const reply = vector("reply");
  assert.deepEqual(await open(reply), vector("reply_bhttp"));

  for (let at = 0; at < reply.length; at += 101) await assert.rejects(open(flipped(reply, at)), `byte ${at}`);
  for (let size = 0; size < reply.length; size += 53) await assert.rejects(open(reply.subarray(0, size)), `${size} bytes`);
  await assert.rejects(open(Buffer.concat([reply, Buffer.of(0)])));
  const frame = (i) => reply.subarray(suite.Nenc + 274 * i, suite.Nenc + 274 * (i + 1));
  await assert.rejects(open(Buffer.concat([reply.subarray(0, suite.Nenc), frame(1), frame(0), reply.subarray(suite.Nenc + 548)])), "frames in another order");
});

test("vectors: the reply is read as it arrives, in pieces of any size", async () => {
  const bytes = vector("reply_bhttp");
  const pieces = [...bytes].map((byte) => Buffer.of(byte));
  const reply = await readResponse(pieces);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("content-type"), "text/plain");
  assert.equal(await text(reply.body), "All of it.");
  const cut = await readResponse(pieces.slice(0, -4));
  await assert.rejects(text(cut.body));
});

test("what is sealed here opens with the vectors' key", async () => {
  for (const size of [0, 1, 900, 1000, 65_000, 65_533, 65_534, 70_000, 200_000]) {
    const bhttp = encodeRequest({ method: "POST", authority: "a.example", path: "/", body: crypto.randomBytes(size) });
    const { body } = sealRequest({ evidence, caller, bhttp, time: evidence.now });
    const { plaintexts } = await openRequest(body, { privateKey: vector("server_private_key"), evidence, caller });
    assert.deepEqual(Buffer.concat(plaintexts.map(frameData)), bhttp);
    const total = plaintexts.reduce((sum, plaintext) => sum + plaintext.length, 0);
    assert.equal(bucket(total), total);
    for (const plaintext of plaintexts.slice(0, -1)) assert.equal(plaintext.length, 65_536);
  }
});

// --- a real server ----------------------------------------------------------------------------

const client = new SealedClient(url, { apiKey });

const ask = (messages, more = {}) => ({
  method: "POST", path: "/v1/chat/completions", headers: { "content-type": "application/json" },
  body: JSON.stringify({ model, messages, max_tokens: 24, temperature: 0, stream: true }), ...more,
});

/** The text of a streamed answer, which must be whole. */
async function spoken(reply) {
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get("content-type"), /^text\/event-stream/);
  const events = (await text(reply.body)).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
  assert.equal(events.at(-1), "[DONE]");
  return events.slice(0, -1).map((event) => JSON.parse(event).choices[0]?.delta?.content ?? "").join("");
}

/** Posts a body that must be refused; every refusal looks the same. */
async function refused(body) {
  const error = await client.post(body).then(() => assert.fail("the request was accepted"), (error) => error);
  assert.ok(error instanceof Refused, error);
  assert.equal(error.status, 400);
  assert.equal(error.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(JSON.parse(error.body), {
    type: "https://iana.org/assignments/http-problem-types#ohttp-key", title: "the encapsulated request was not accepted",
  });
}

test("a server: holds a streamed conversation", { timeout }, async () => {
  const messages = [{ role: "user", content: "Name three colours." }];
  const first = await spoken(await client.send(ask(messages)));
  assert.ok(first.length > 0);
  messages.push({ role: "assistant", content: first }, { role: "user", content: "And one more?" });
  const second = await spoken(await client.send(ask(messages)));
  assert.ok(second.length > 0);
  assert.match(client.fingerprint, /^tacit1:[0-9a-f]{64}$/);
  assert.equal(await spoken(await client.send(ask(messages.slice(0, 1)))), first, "temperature 0");
});

test("a server: answers the same in frames of any size and at any pace", { timeout }, async () => {
  const messages = [{ role: "user", content: "Name three colours." }];
  const answers = [];
  for (const [frameBits, pace] of [[8, 0], [16, 0], [8, 0xffff], [10, 20]]) answers.push(await spoken(await client.send(ask(messages, { frameBits, pace }))));
  assert.deepEqual(new Set(answers).size, 1);
});

test("a server: frames have the size asked for and together a bucket's", { timeout }, async () => {
  const sealed = await client.seal(ask([{ role: "user", content: "Name three colours." }], { frameBits: 9, pace: 0xffff }));
  const reply = await joined(await client.post(sealed.body));
  const frames = (reply.length - suite.Nenc + 1) / (2 + 512 + suite.Nt); // the final frame's length takes one byte, not two
  assert.ok(Number.isInteger(frames));
  assert.equal(bucket(frames * 512), frames * 512);
  assert.equal((await readResponse(sealed.openReply([reply]))).status, 200);
});

test("a server: a reply that somebody cut or changed is refused", { timeout }, async () => {
  const sealed = await client.seal(ask([{ role: "user", content: "Name three colours." }], { frameBits: 8 }));
  const reply = await joined(await client.post(sealed.body));
  const read = async (bytes) => text((await readResponse(sealed.openReply([bytes]))).body);
  assert.match(await read(reply), /\[DONE\]/);
  const frame = 2 + 256 + suite.Nt;
  const frames = Math.floor((reply.length - suite.Nenc) / frame);
  assert.ok(frames > 4, "the answer takes several frames");
  for (let i = 0; i <= frames; i++) await assert.rejects(read(reply.subarray(0, suite.Nenc + i * frame)), `cut after ${i} frames`);
  await assert.rejects(read(reply.subarray(0, -1)));
  for (const at of [0, suite.Nenc, suite.Nenc + 1, suite.Nenc + 2, suite.Nenc + frame + 9, -1]) await assert.rejects(read(flipped(reply, at)), `byte ${at}`);
  const without = Buffer.concat([reply.subarray(0, suite.Nenc + frame), reply.subarray(suite.Nenc + 2 * frame)]);
  await assert.rejects(read(without), "a frame left out");
});

test("a server: errors of the API come inside", { timeout }, async () => {
  const missing = await client.send({ path: "/v1/no-such-thing" });
  assert.equal(missing.status, 404);
  assert.ok(JSON.parse(await text(missing.body)).error.message);
  const models = await client.send({ path: "/v1/models" });
  assert.ok(JSON.parse(await text(models.body)).data.some((entry) => entry.id === model));
});

test("a server: a request of several frames arrives whole", { timeout }, async () => {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi." }], max_tokens: 2 });
  const reply = await client.send(ask([], { body: body + " ".repeat(150_000) }));
  assert.equal(reply.status, 200);
  assert.ok(JSON.parse(await text(reply.body)).choices[0].message);
});

test("a server: a client that leaves in the middle does not disturb the next", { timeout }, async () => {
  const reply = await client.send(ask([{ role: "user", content: "Tell me a long story." }], { frameBits: 8 }));
  for await (const piece of reply.body) if (piece.length > 0) break; // closes the connection
  assert.ok(await spoken(await client.send(ask([{ role: "user", content: "Name three colours." }]))));
});

test("a server: a wrong key is refused", { timeout }, async () => {
  const stranger = new SealedClient(url, { apiKey: apiKey.slice(0, -1) + (apiKey.endsWith("A") ? "B" : "A") });
  await refused((await stranger.seal(ask([]))).body);
  await assert.rejects(stranger.send(ask([])), Refused);
});

test("a server: nobody in particular is told inside that a key is needed", { timeout }, async () => {
  const reply = await new SealedClient(url).send(ask([{ role: "user", content: "Hi." }]));
  assert.equal(reply.status, 401);
  await text(reply.body);
});

test("a server: a header inside proves nobody", { timeout }, async () => {
  const reply = await new SealedClient(url).send({ path: "/v1/models", headers: { authorization: `Bearer ${apiKey}` } });
  assert.equal(reply.status, 401);
  await text(reply.body);
});

test("a server: a request opens once", { timeout }, async () => {
  const sealed = await client.seal({ path: "/v1/models" });
  const reply = await readResponse(sealed.openReply(await client.post(sealed.body)));
  assert.equal(reply.status, 200);
  await text(reply.body);
  await refused(sealed.body);
});

test("a server: a request of another time is refused", { timeout }, async () => {
  for (const minutes of [-5, 5]) await refused((await client.seal({ path: "/v1/models", time: client.time() + minutes * 60_000 })).body);
});

test("a server: a request with a byte changed is refused, wherever it is", { timeout }, async () => {
  const prelude = 7 + suite.Nenc;
  const first = prelude + 2 + 1280 + suite.Nt;
  for (const at of [0, 7, 7 + 1087, 7 + 1088, prelude + 2, first - 1, first + 1, -1])
    await refused(flipped((await client.seal({ path: "/v1/models" })).body, at));
});

test("a server: a request whose later frame was changed or cut is not carried out", { timeout }, async () => {
  const request = ask([{ role: "user", content: "x".repeat(70_000) }]);
  const later = 7 + suite.Nenc + 2 + 1280 + suite.Nt + 4 + 65_536 + suite.Nt + 100;
  for (const damage of [(body) => flipped(body, later), (body) => body.subarray(0, later), (body) => body.subarray(0, later - 100)]) {
    const sealed = await client.seal(request);
    const reply = await readResponse(sealed.openReply(await client.post(damage(sealed.body))));
    assert.equal(reply.status, 400);
    await text(reply.body);
  }
});

test("a server: another identity than the known one gets nothing", { timeout }, async () => {
  const other = new SealedClient(url, { apiKey, fingerprint: vectors.fingerprint });
  await assert.rejects(other.send({ path: "/v1/models" }), /nothing was sent/);
});

/** Carries requests to `url` as a proxy would, after `damage` has had them; resolves to what `use` returns. */
async function withCarrier(damage, use) {
  const carrier = http.createServer(async (request, response) => {
    const body = await joined(request);
    const sent = request.method === "POST" ? { method: "POST", headers: { "content-type": request.headers["content-type"] }, body: damage(body) } : {};
    const answer = await fetch(new URL(request.url, url), sent);
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((resolve) => carrier.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${carrier.address().port}`);
  } finally {
    carrier.closeAllConnections();
    await new Promise((resolve) => carrier.close(resolve));
  }
}

test("a server: no carrier can have a request sealed twice", { timeout }, async () => {
  let posts = 0;
  await withCarrier((body) => (posts++, flipped(body, -1)), async (carrierUrl) => {
    await assert.rejects(new SealedClient(carrierUrl, { apiKey, fingerprint: client.fingerprint }).send({ path: "/v1/models" }), Refused);
  });
  assert.equal(posts, 1, "the statement is still the same, so that the refusal is no reason to ask again");
});

test("a server: a request under a key that has been erased is sealed again under the next", { timeout }, async () => {
  const { TACIT_BRIEF_URL: briefUrl, TACIT_BRIEF_KEY: briefKey } = process.env;
  const late = new (class extends SealedClient {
    time() { return super.time() - 30_000; } // does not notice that the key is too old; still within the window
  })(briefUrl, { apiKey: briefKey });
  const old = await late.meet();
  await sleep(old.notAfter - old.now + 500);
  await assert.rejects((async () => late.post((await late.seal({ path: "/v1/models" })).body))(), Refused);
  const reply = await late.send({ path: "/v1/models" });
  assert.equal(reply.status, 200);
  await text(reply.body);
});
