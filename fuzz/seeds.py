#!/usr/bin/env python3
"""Writes the hand-made seeds of fuzz/corpus/ anew: small files, each of which reaches another part.

Usage: fuzz/seeds.py   (from anywhere; results are deterministic)
"""

import pathlib
import struct

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


def generate(number: int) -> bytes:
    sampling = bytes([0x7F]) + struct.pack("<fffIffI", 0.5, 0.9, 0.05, 40, 0.5, -0.5, 7)
    messages = struct.pack("<I", 2) + b"\x00" + sized(b"Be brief.") + b"\x01" + sized("Grüße".encode())
    return (b"\x01" + struct.pack("<QI", number, 64) + sized(b"smollm2") + sized(b"tenant") + sampling
            + b"\x01" + struct.pack("<I", 16) + messages + struct.pack("<I", 1) + sized(b"\n\n"))


FRAMES = {
    "generate": generate(1),
    "cancel": b"\x02" + struct.pack("<Q", 1),
    "credit": b"\x03" + struct.pack("<QI", 1, 32),
    "hello": b"\x10" + struct.pack("<H", 1) + bytes([6, 1, 1, 1, 1]),
    "ready": b"\x11" + struct.pack("<IIQ", 2048, 8, 98362432),
    "load_failed": b"\x12" + struct.pack("<Hqq", 18, 11, 0),
    "stats": b"\x13" + struct.pack("<IIf", 3, 1, 0.25),
    "started": b"\x20" + struct.pack("<QI", 1, 12),
    "text": b"\x21" + struct.pack("<QI", 1, 1) + sized("né".encode()),
    "reasoning": b"\x22" + struct.pack("<QI", 1, 2) + sized(b"so"),
    "finished": b"\x23" + struct.pack("<QBIII", 1, 0, 12, 0, 5),
    "failed": b"\x24" + struct.pack("<QHqq", 1, 10, 5000, 2048),
}


def worker_protocol_seeds() -> None:
    for name, body in FRAMES.items():
        put("worker_protocol", f"frame_{name}", b"\x01" + body)
    put("worker_protocol", "stream_all", b"\x05" + b"".join(sized(body) for body in FRAMES.values()))
    put("worker_protocol", "stream_long_length", b"\x03" + sized(FRAMES["cancel"]) + struct.pack("<I", 0x7FFFFFFF))
    put("worker_protocol", "stream_empty_frame", b"\x03" + struct.pack("<I", 0))


if __name__ == "__main__":
    gguf_seeds()
    worker_protocol_seeds()
