// A client of sealed HTTP, version 1, written from docs/spec/sealed-http.md and the RFCs it names, and
// from nothing else: it shows that the specification is enough. Section numbers are the document's.
//
//   npm install @noble/post-quantum
//
//   const client = new SealedClient("http://127.0.0.1:8080", { apiKey: "tk-...", fingerprint: "tacit1:..." });
//   const reply = await client.send({ method: "POST", path: "/v1/chat/completions", headers, body });
//   for await (const piece of reply.body) process.stdout.write(piece);
//
// ML-DSA and X-Wing come from @noble/post-quantum, everything else from Node.
import crypto from "node:crypto";
import { ml_kem768_x25519 as xwing } from "@noble/post-quantum/hybrid.js";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";

// --- bytes ----------------------------------------------------------------------------------

const ascii = (text) => Buffer.from(text, "latin1");
const join = (...parts) => Buffer.concat(parts);
const u8 = (n) => Buffer.of(n);
const u16 = (n) => Buffer.of(n >> 8, n & 0xff);
const u64 = (n) => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64BE(BigInt(n)); return bytes; };
const none = Buffer.alloc(0);
const sha256 = (...parts) => crypto.createHash("sha256").update(join(...parts)).digest();
const equal = (a, b) => a.length === b.length && crypto.timingSafeEqual(a, b);

/** The shortest form of RFC 9000, section 16. */
function varint(n) {
  if (n < 1 << 6) return u8(n);
  if (n < 1 << 14) return u16(n | 0x4000);
  if (n < 2 ** 30) return Buffer.of((n >>> 24) | 0x80, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff);
  throw new RangeError("a length above 2^30");
}

/** Reads from an iterable of buffers, synchronous or not. What is not there is an error. */
export class ByteStream {
  #source;
  #held = none;
  #ended = false;

  constructor(source) { this.#source = (source[Symbol.asyncIterator] ?? source[Symbol.iterator]).call(source); }

  async #more() {
    if (this.#ended) return false;
    const { value, done } = await this.#source.next();
    if (done) this.#ended = true;
    else this.#held = this.#held.length === 0 ? Buffer.from(value) : join(this.#held, value);
    return !done;
  }

  /** Leaves the source, which may then stop sending. */
  async close() { await this.#source.return?.(); }

  async ended() {
    while (this.#held.length === 0) if (!(await this.#more())) return true;
    return false;
  }

  /** What is there, at least one byte and at most `max`. */
  async some(max) {
    if (await this.ended()) throw new Error("the bytes end too early");
    const taken = this.#held.subarray(0, max);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  async take(size) {
    while (this.#held.length < size) if (!(await this.#more())) throw new Error("the bytes end too early");
    return size === 0 ? none : this.some(size);
  }

  /** Everything up to the end, unless that is more than `max`. */
  async rest(max) {
    while (this.#held.length <= max && (await this.#more()));
    if (this.#held.length > max) throw new Error("more bytes than allowed");
    return this.take(this.#held.length);
  }

  async varint({ shortest = false } = {}) {
    const first = (await this.take(1))[0];
    const more = await this.take((1 << (first >> 6)) - 1);
    let value = first & 0x3f;
    for (const byte of more) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw new Error("a number above 2^53");
    if (shortest && varint(value).length !== 1 + more.length) throw new Error("a length not in its shortest form");
    return value;
  }
}

/** Reads one buffer from its start to its end. */
class Reader {
  #bytes;
  constructor(bytes) { this.#bytes = bytes; }
  take(size) {
    if (this.#bytes.length < size) throw new Error("the document ends too early");
    const taken = this.#bytes.subarray(0, size);
    this.#bytes = this.#bytes.subarray(size);
    return taken;
  }
  u8() { return this.take(1)[0]; }
  u16() { return this.take(2).readUInt16BE(); }
  u64() { return Number(this.take(8).readBigUInt64BE()); }
  vector() { return this.take(this.u16()); }
  end() { if (this.#bytes.length !== 0) throw new Error("bytes after the end of the document"); }
}

// --- HPKE: RFC 9180 with the suite of section 1 ----------------------------------------------

export const suite = { kem: 0x647a, kdf: 0x0001, aead: 0x0002, Nenc: 1120, Npk: 1216, Nk: 32, Nn: 12, Nh: 32, Nt: 16 };
const suite_id = join(ascii("HPKE"), u16(suite.kem), u16(suite.kdf), u16(suite.aead));
const mode_base = 0x00;
const mode_psk = 0x01;

const extract = (salt, ikm) => crypto.createHmac("sha256", salt).update(ikm).digest();

function expand(prk, info, size) {
  let [made, block] = [none, none];
  for (let i = 1; made.length < size; i++) {
    block = crypto.createHmac("sha256", prk).update(join(block, info, u8(i))).digest();
    made = join(made, block);
  }
  return made.subarray(0, size);
}

const labeledExtract = (salt, label, ikm) => extract(salt, join(ascii("HPKE-v1"), suite_id, ascii(label), ikm));
const labeledExpand = (prk, label, info, size) =>
  expand(prk, join(u16(size), ascii("HPKE-v1"), suite_id, ascii(label), info), size);

/** One direction's messages, numbered from 0. */
export class Context {
  #key;
  #baseNonce;
  #exporterSecret;
  #sequence = 0;

  constructor(mode, sharedSecret, info, psk = none, pskId = none) {
    const context = join(u8(mode), labeledExtract(none, "psk_id_hash", pskId), labeledExtract(none, "info_hash", info));
    const secret = labeledExtract(sharedSecret, "secret", psk);
    this.#key = labeledExpand(secret, "key", context, suite.Nk);
    this.#baseNonce = labeledExpand(secret, "base_nonce", context, suite.Nn);
    this.#exporterSecret = labeledExpand(secret, "exp", context, suite.Nh);
  }

  #nonce() {
    const sequence = join(Buffer.alloc(4), u64(this.#sequence++));
    return this.#baseNonce.map((byte, i) => byte ^ sequence[i]);
  }

  seal(aad, plaintext) {
    const cipher = crypto.createCipheriv("aes-256-gcm", this.#key, this.#nonce()).setAAD(aad);
    return join(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  }

  open(aad, ciphertext) {
    if (ciphertext.length < suite.Nt) throw new Error("a ciphertext shorter than its tag");
    const at = ciphertext.length - suite.Nt;
    const cipher = crypto.createDecipheriv("aes-256-gcm", this.#key, this.#nonce(), { authTagLength: suite.Nt });
    cipher.setAAD(aad).setAuthTag(ciphertext.subarray(at));
    return join(cipher.update(ciphertext.subarray(0, at)), cipher.final()); // final() throws when it does not fit
  }

  export(label, size) { return labeledExpand(this.#exporterSecret, "sec", ascii(label), size); }
}

export function setupSender(publicKey, info) {
  const { cipherText, sharedSecret } = xwing.encapsulate(publicKey);
  return { enc: Buffer.from(cipherText), outer: new Context(mode_base, sharedSecret, info) };
}

export function setupReceiver(enc, privateKey, info) {
  return new Context(mode_base, xwing.decapsulate(enc, privateKey), info);
}

/** Section 3: the key schedule once more, with an exported secret in place of the KEM's. */
export function innerContext(outer, info, psk, pskId) {
  return new Context(mode_psk, outer.export("tacit sealed-http v1 inner", 32), info, psk, pskId);
}

// --- Sections 2 and 3: who the server is ------------------------------------------------------

/** Takes the document apart and refuses it unless it is for `nonce` and both signatures verify. */
export function openEvidence(bytes, nonce) {
  const in_ = new Reader(bytes);
  if (!in_.take(4).equals(ascii("TEV1"))) throw new Error("this is no evidence of version 1");
  const statement = in_.vector();
  const [itsNonce, now] = [in_.take(32), in_.u64()];
  const [ed25519Signature, mldsaSignature] = [in_.vector(), in_.vector()];
  in_.end();
  const { ed25519Key, mldsaKey, ...stated } = parseStatement(statement);

  const signed = join(ascii("tacit evidence v1"), u8(0), itsNonce, u64(now), sha256(statement));
  const jwk = { kty: "OKP", crv: "Ed25519", x: ed25519Key.toString("base64url") };
  if (!crypto.verify(null, signed, crypto.createPublicKey({ key: jwk, format: "jwk" }), ed25519Signature))
    throw new Error("the Ed25519 signature of the evidence does not verify");
  if (mldsaSignature.length !== ml_dsa65.lengths.signature || !ml_dsa65.verify(mldsaSignature, signed, mldsaKey))
    throw new Error("the ML-DSA-65 signature of the evidence does not verify");
  if (!equal(itsNonce, nonce)) throw new Error("the evidence is not for this nonce");
  if (!(stated.notBefore <= now && now < stated.notAfter)) throw new Error("the evidence is not of this time");

  const fingerprint = "tacit1:" + sha256(ascii("tacit identity v1"), ed25519Key, mldsaKey).toString("hex");
  return { ...stated, statement, now, fingerprint, bindings: bindings(stated.keyConfiguration, statement) };
}

function parseStatement(statement) {
  const in_ = new Reader(statement);
  if (in_.u8() !== 1) throw new Error("a statement of an unknown version");
  if (in_.u8() !== 0) throw new Error("an attester that this client cannot verify");
  const [issuedAt, notBefore, notAfter] = [in_.u64(), in_.u64(), in_.u64()];
  const [ed25519Key, mldsaKey, keyConfiguration] = [in_.vector(), in_.vector(), in_.vector()];
  in_.vector(); // keys of plain Oblivious HTTP, which this client does not speak
  const software = in_.vector().toString("latin1");
  in_.end();
  if (ed25519Key.length !== 32 || mldsaKey.length !== ml_dsa65.lengths.publicKey)
    throw new Error("a key of the wrong size");
  if (!/^[\x20-\x7e]{0,64}$/.test(software)) throw new Error("a name of the software that cannot be printed");
  return { issuedAt, notBefore, notAfter, ed25519Key, mldsaKey, keyConfiguration, software };
}

/** RFC 9458, section 3.1: the key and the algorithms it may be used with. */
export function parseKeyConfiguration(keyConfiguration) {
  const in_ = new Reader(keyConfiguration);
  const [keyId, kem] = [in_.u8(), in_.u16()];
  if (kem !== suite.kem) throw new Error("a key of another KEM");
  const publicKey = in_.take(suite.Npk);
  const algorithms = in_.vector();
  in_.end();
  const offered = (at) => algorithms.readUInt16BE(at) === suite.kdf && algorithms.readUInt16BE(at + 2) === suite.aead;
  if (algorithms.length % 4 !== 0 || ![...Array(algorithms.length / 4).keys()].some((i) => offered(4 * i)))
    throw new Error("a key that is not for HKDF-SHA256 and AES-256-GCM");
  return { keyId, publicKey };
}

function bindings(keyConfiguration, statement) {
  const { keyId, publicKey } = parseKeyConfiguration(keyConfiguration);
  const hdr = join(u8(keyId), u16(suite.kem), u16(suite.kdf), u16(suite.aead));
  const info = (direction) =>
    join(ascii(`tacit sealed-http v1 ${direction}`), u8(0), hdr, sha256(keyConfiguration), sha256(statement));
  return { hdr, publicKey, infoRequest: info("request"), infoResponse: info("response") };
}

// --- Section 4: the caller ----------------------------------------------------------------------

export function callerSecrets(apiKey) {
  if (!apiKey) return { psk: sha256(ascii("tacit sealed-http v1 anonymous")), pskId: Buffer.alloc(16) };
  const prk = extract(none, sha256(ascii(apiKey)));
  return { psk: expand(prk, ascii("tacit sealed-http v1 psk"), 32), pskId: expand(prk, ascii("tacit sealed-http v1 psk id"), 16) };
}

// --- Section 5: the request ----------------------------------------------------------------------

const frameMax = 65536;
const frameHead = 3; // type and length
const final = ascii("final");

/** The sizes that the plaintexts of a message together may have. */
export function bucket(size) {
  let power = 1024;
  while (power < size && power < 65536) power *= 2;
  if (size <= power) return power;
  while (2 * power < size) power *= 2; // now power < size <= 2 * power
  return Math.ceil(size / (power / 8)) * (power / 8);
}

/** The plaintexts that carry `data`: all but the last are full, and together they have a bucket's size. */
function frames(data) {
  let total = bucket(data.length + frameHead);
  while (total - Math.ceil(total / frameMax) * frameHead < data.length) total = bucket(total + 1);
  const made = [];
  for (let at = 0; total > 0; total -= made.at(-1).length) {
    const size = Math.min(total, frameMax);
    const piece = data.subarray(at, at + size - frameHead);
    at += piece.length;
    made.push(join(u8(0), u16(piece.length), piece, Buffer.alloc(size - frameHead - piece.length)));
  }
  return made;
}

function frameData(plaintext) {
  const in_ = new Reader(plaintext);
  if (in_.u8() !== 0) throw new Error("a frame of an unknown type");
  const data = in_.vector();
  if (in_.take(plaintext.length - frameHead - data.length).some((byte) => byte !== 0)) throw new Error("padding that is not zero");
  return data;
}

/**
 * Seals one binary HTTP request for the server of `evidence`, whose clock shows `time`. Returns the body
 * to post and a function that opens the reply's body.
 */
export function sealRequest({ evidence, caller, bhttp, time, nonce = crypto.randomBytes(16), frameBits = 10, pace = 0 }) {
  const { hdr, publicKey, infoRequest, infoResponse } = evidence.bindings;
  const replyKeys = xwing.keygen();
  const prelude = join(u8(1), u8(frameBits), u16(pace), u64(time), nonce, caller.pskId,
    replyKeys.publicKey, Buffer.alloc(20));
  const { enc, outer } = setupSender(publicKey, infoRequest);
  const inner = innerContext(outer, infoRequest, caller.psk, caller.pskId);
  const framed = (ciphertext) => join(varint(ciphertext.length), ciphertext);
  const plaintexts = frames(bhttp);
  const last = plaintexts.pop();
  const body = join(hdr, enc, framed(outer.seal(none, prelude)),
    ...plaintexts.map((plaintext) => framed(inner.seal(none, plaintext))), varint(0), inner.seal(final, last));
  const psk = inner.export("tacit sealed-http v1 reply", 32);
  const openReply = (bytes) =>
    openReplyFrames(bytes, { privateKey: replyKeys.secretKey, psk, info: infoResponse, frameSize: 2 ** frameBits });
  return { body, openReply };
}

// --- Section 7: the reply ------------------------------------------------------------------------

/** Yields the data of each frame as it arrives; throws unless all of it was genuine, up to the final frame. */
export async function* openReplyFrames(bytes, { privateKey, psk, info, frameSize }) {
  const stream = new ByteStream(bytes);
  try {
    const outer = setupReceiver(await stream.take(suite.Nenc), privateKey, info);
    const inner = innerContext(outer, info, psk, ascii("tacit reply"));
    const size = frameSize + suite.Nt;
    for (;;) {
      const length = await stream.varint({ shortest: true });
      if (length !== 0 && length !== size) throw new Error("a frame of the wrong size");
      const ciphertext = length === 0 ? await stream.rest(size) : await stream.take(size);
      if (ciphertext.length !== size) throw new Error("a final frame of the wrong size");
      yield frameData(inner.open(length === 0 ? final : none, ciphertext));
      if (length === 0) return;
    }
  } finally {
    await stream.close();
  }
}

// --- Binary HTTP: RFC 9292 -------------------------------------------------------------------------

const prefixed = (bytes) => join(varint(bytes.length), bytes);

/** A request in the indeterminate-length form. */
export function encodeRequest({ method = "GET", scheme = "https", authority, path, headers = {}, body = "" }) {
  const control = [method, scheme, authority, path].map((text) => prefixed(ascii(text)));
  const fields = Object.entries(headers).flatMap(([name, value]) => [prefixed(ascii(name.toLowerCase())), prefixed(ascii(value))]);
  const content = Buffer.from(body);
  return join(varint(2), ...control, ...fields, varint(0), ...(content.length ? [prefixed(content)] : []), varint(0), varint(0));
}

const fieldBytesMax = 65536;

/** The status and the headers as soon as they are there, and the body as a stream. */
export async function readResponse(data) {
  const stream = new ByteStream(data);
  const form = await stream.varint();
  if (form !== 1 && form !== 3) throw new Error("this is no binary HTTP response");
  let status, headers;
  do {
    status = await stream.varint();
    if (status < 100 || status > 599) throw new Error("a status out of range");
    headers = await readFields(stream, form);
  } while (status < 200);
  return { status, headers, body: readContent(stream, form) };
}

/** A field section; none where the message has been truncated (section 3.8 of RFC 9292). */
async function readFields(stream, form) {
  const fields = new Headers();
  let bytes = 0;
  if (await stream.ended()) return fields;
  if (form === 1) {
    bytes = await stream.varint();
    if (bytes > fieldBytesMax) throw new Error("too many bytes of fields");
    stream = new ByteStream([await stream.take(bytes)]);
    bytes = 0;
  }
  while (form === 3 || !(await stream.ended())) {
    const nameLength = await stream.varint();
    if (nameLength === 0 && form === 3) return fields;
    if (nameLength === 0) throw new Error("a field without a name");
    if ((bytes += nameLength) > fieldBytesMax) throw new Error("too many bytes of fields");
    const name = (await stream.take(nameLength)).toString("latin1");
    const valueLength = await stream.varint();
    if ((bytes += valueLength) > fieldBytesMax) throw new Error("too many bytes of fields");
    const value = (await stream.take(valueLength)).toString("latin1");
    fields.append(name, value);
  }
  return fields;
}

async function* readContent(stream, form) {
  try {
    if (!(await stream.ended())) {
      for (;;) {
        const length = await stream.varint(); // of all the content, or of a chunk of it
        for (let left = length, piece; left > 0; left -= piece.length) yield (piece = await stream.some(left));
        if (length === 0 || form === 1) break;
      }
      await readFields(stream, form); // trailers
    }
    while (!(await stream.ended())) {
      if ((await stream.some(frameMax)).some((byte) => byte !== 0)) throw new Error("bytes after the end of the response");
    }
  } finally {
    await stream.close();
  }
}

// --- Section 6, from the client's side: one server, many requests --------------------------------------

/** The server did not open the request: the key is unknown, or the request, or the caller. */
export class Refused extends Error {
  constructor(status, headers, body) {
    super(`the server did not open the request (${status})`);
    Object.assign(this, { status, headers, body });
  }
}

export class SealedClient {
  #url;
  #pinned;
  #caller;
  #evidence;
  #clockOffset = 0;

  /** Without a fingerprint, the first one seen is pinned: `fingerprint` then tells it. */
  constructor(url, { apiKey, fingerprint } = {}) {
    this.#url = new URL(url);
    this.#caller = callerSecrets(apiKey);
    this.#pinned = fingerprint;
  }

  get fingerprint() { return this.#pinned; }

  /** Fetches and verifies evidence for a nonce of our own. */
  async meet(signal = AbortSignal.timeout(30_000)) {
    const nonce = crypto.randomBytes(32);
    const answer = await fetch(new URL(`/.well-known/tacit/evidence?nonce=${nonce.toString("hex")}`, this.#url), { signal });
    if (!answer.ok || answer.headers.get("content-type") !== "application/tacit-evidence")
      throw new Error(`no evidence (status ${answer.status})`);
    const evidence = openEvidence(await new ByteStream(answer.body).rest(1 << 17), nonce);
    this.#pinned ??= evidence.fingerprint;
    if (evidence.fingerprint !== this.#pinned)
      throw new Error(`the server is ${evidence.fingerprint}, not ${this.#pinned}; nothing was sent`);
    this.#clockOffset = evidence.now - Date.now();
    return (this.#evidence = evidence);
  }

  /** The server's clock in milliseconds. */
  time() { return Date.now() + this.#clockOffset; }

  /** Seals a request and posts nothing. */
  async seal({ frameBits, pace, time, nonce, signal, ...request }) {
    if (!this.#evidence || this.time() >= this.#evidence.notAfter) await this.meet(signal);
    const bhttp = encodeRequest({ scheme: this.#url.protocol.slice(0, -1), authority: this.#url.host, ...request });
    return sealRequest({ evidence: this.#evidence, caller: this.#caller, bhttp, time: time ?? this.time(), nonce, frameBits, pace });
  }

  /** Posts a sealed body. Throws Refused unless the server has opened it. */
  async post(body, signal = AbortSignal.timeout(120_000)) {
    const answer = await fetch(new URL("/.well-known/ohttp-gateway", this.#url), {
      method: "POST", headers: { "Content-Type": "message/ohttp-chunked-req" }, body, signal,
    });
    if (answer.status !== 200) throw new Refused(answer.status, answer.headers, await answer.text());
    if (answer.headers.get("content-type") !== "message/ohttp-chunked-res") throw new Error("the answer is not sealed");
    return answer.body;
  }

  /**
   * One exchange: { method, path, headers, body, frameBits, pace, signal }. Returns status, headers and the body
   * as an async iterable, which throws if anybody has cut or changed it: only its regular end says that
   * it was whole.
   */
  async send(request) {
    if (!this.#evidence) await this.meet(request.signal);
    // Of every attempt, so that the server runs one at most.
    const freshness = { time: this.time(), nonce: crypto.randomBytes(16) };
    const sealed = await this.seal({ ...freshness, ...request });
    const { statement } = this.#evidence;
    try {
      return await readResponse(sealed.openReply(await this.post(sealed.body, request.signal)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.meet(request.signal);
      if (this.#evidence.statement.equals(statement)) throw error; // another attempt would fare no better
    }
    const again = await this.seal({ ...freshness, ...request });
    return readResponse(again.openReply(await this.post(again.body, request.signal)));
  }
}

export async function text(body) {
  let all = none;
  for await (const piece of body) all = join(all, piece);
  return all.toString("utf8");
}
