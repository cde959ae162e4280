"""A man in the middle between `tacit connect` and `tacit serve`, who controls every byte.

Everything passes through and is recorded; an attack is set for what comes next:

    with Mitm(("127.0.0.1", 8080)) as mitm:      # clients go to mitm.url
        mitm.attack = ReplyAttack(flip)

As a program it passes on and attacks at random, a share of what passes:

    python3 tests/adversary/mitm.py --to 127.0.0.1:8080 --listen 8090 --share 0.1 --seed 1
"""

import argparse
import contextlib
import dataclasses
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

EVIDENCE_PATH = "/.well-known/tacit/evidence"
SEALED_PATH = "/.well-known/ohttp-gateway"
REQUEST_HEAD = 7 + 1120
REPLY_HEAD = 1120
PATIENCE = 60.0


@dataclasses.dataclass
class Message:
    """One HTTP message: its first line, its fields and its body, transfer coding taken off."""

    start: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    chunked: bool = False

    def field(self, name: str) -> str:
        return next((value for field, value in self.fields if field.lower() == name), "")

    def set_field(self, name: str, value: str) -> None:
        self.fields = [(f, v) for f, v in self.fields if f.lower() != name] + [(name, value)]

    def encoded(self, declared: int | None = None) -> bytes:
        """With its body; `declared` is a length that is not the body's."""
        fields = [(f, v) for f, v in self.fields if f.lower() not in ("content-length", "transfer-encoding")]
        if self.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(self.body, 1500)) + b"0\r\n\r\n"
        else:
            fields.append(("Content-Length", str(len(self.body) if declared is None else declared)))
            body = self.body
        head = "".join(f"{f}: {v}\r\n" for f, v in fields)
        return f"{self.start}\r\n{head}\r\n".encode("latin-1") + body


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at:at + size] for at in range(0, len(data), size)]


class Closed(Exception):
    """The other end closed the connection."""


class Wire:
    """A socket that reads HTTP messages."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.held = connection, b""

    def more(self) -> None:
        got = self.socket.recv(65536)
        if not got:
            raise Closed
        self.held += got

    def line(self) -> bytes:
        while b"\r\n" not in self.held:
            self.more()
        line, _, self.held = self.held.partition(b"\r\n")
        return line

    def take(self, n: int) -> bytes:
        while len(self.held) < n:
            self.more()
        taken, self.held = self.held[:n], self.held[n:]
        return taken

    def read(self, no_body: bool = False) -> Message:
        start = self.line().decode("latin-1")
        fields = []
        while line := self.line():
            name, _, value = line.decode("latin-1").partition(":")
            fields.append((name, value.strip()))
        message = Message(start, fields)
        if no_body:
            return message
        if "chunked" in message.field("transfer-encoding").lower():
            message.chunked = True
            while size := int(self.line(), 16):
                message.body += self.take(size)
                self.take(2)
            self.line()
        else:
            message.body = self.take(int(message.field("content-length") or 0))
        return message

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()


# --- the framing (docs/spec/sealed-http.md) --------------------------------------------------


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The value at `at`, and how many bytes it takes."""
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at:at + size], "big") & ((1 << (8 * size - 2)) - 1), size


def parts(body: bytes, head: int) -> tuple[bytes, list[bytes], bytes]:
    """The head, the frames with their lengths, and the final frame with its zero."""
    frames, at = [], head
    while at < len(body):
        size, width = varint(body, at)
        if size == 0 or at + width + size > len(body):
            break
        frames.append(body[at:at + width + size])
        at += width + size
    return body[:head], frames, body[at:]


# Each takes a body, the length of its head, another body of the same direction, and dice.
Edit = Callable[[bytes, int, bytes, random.Random], bytes]


def flip(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << dice.randrange(8))]) + body[at + 1:]


def flip_end(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def truncate(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return body[:dice.randrange(1, len(body))]


def cut_final(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    start, frames, _ = parts(body, head)
    return start + b"".join(frames)


def end_early(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    """Makes the last frame before the final one the final one."""
    start, frames, _ = parts(body, head)
    if not frames:
        return body[:-1]
    _, width = varint(frames[-1], 0)
    return start + b"".join(frames[:-1]) + b"\0" + frames[-1][width:]


def append(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return body + dice.randbytes(dice.randrange(1, 60))


def drop_frame(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    start, frames, final = parts(body, head)
    if frames:
        frames.pop(dice.randrange(len(frames)))
    return start + b"".join(frames) + final


def repeat_frame(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    start, frames, final = parts(body, head)
    if frames:
        frames.insert(dice.randrange(len(frames)), dice.choice(frames))
    return start + b"".join(frames) + final


def swap_frames(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    start, frames, final = parts(body, head)
    if len(frames) > 1:
        frames[0], frames[-1] = frames[-1], frames[0]
    elif frames:
        frames, final = [], final + frames[0]
    return start + b"".join(frames) + final


def splice_head(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return other[:head] + body[head:]


def splice_frames(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return body[:head] + other[head:]


def splice_final(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    start, frames, _ = parts(body, head)
    return start + b"".join(frames) + parts(other, head)[2]


def replace(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    """Another message altogether: a repetition."""
    return other


def noise(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(len(body))


def downgrade(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    """A classical suite: X25519, HKDF-SHA256, AES-128-GCM."""
    return body[:1] + b"\x00\x20\x00\x01\x00\x01" + body[7:]


def other_key(body: bytes, head: int, other: bytes, dice: random.Random) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


EDITS: tuple[Edit, ...] = (flip, flip_end, truncate, cut_final, end_early, append, drop_frame, repeat_frame, swap_frames,
                           splice_head, splice_frames, splice_final, replace, noise)
REQUEST_EDITS: tuple[Edit, ...] = (*EDITS, downgrade, other_key)


# --- attacks -----------------------------------------------------------------------------------


class Attack:
    """What is done to one exchange. Each method may also raise Closed, to break the connection to the client."""

    def __str__(self) -> str:
        return type(self).__name__

    def on_request(self, mitm: "Mitm", request: Message) -> Message | None:
        """What the server gets instead; None: nothing, and on_silence() answers."""
        return request

    def on_silence(self, mitm: "Mitm", request: Message) -> Message:
        raise Closed

    def on_reply(self, mitm: "Mitm", request: Message, reply: Message) -> Message:
        """What the client gets instead."""
        return reply

    def send_reply(self, client: Wire, reply: Message) -> None:
        client.send(reply.encoded())


class RequestEdit(Attack):
    def __init__(self, edit: Edit) -> None:
        self.edit = edit

    def on_request(self, mitm: "Mitm", request: Message) -> Message:
        other = mitm.requests[0] if mitm.requests else request.body
        return dataclasses.replace(request, body=self.edit(request.body, REQUEST_HEAD, other, mitm.dice))


class ReplyEdit(Attack):
    def __init__(self, edit: Edit) -> None:
        self.edit = edit

    def on_reply(self, mitm: "Mitm", request: Message, reply: Message) -> Message:
        other = mitm.replies[0] if mitm.replies else reply.body
        return dataclasses.replace(reply, body=self.edit(reply.body, REPLY_HEAD, other, mitm.dice))


class Direction(Attack):
    """A recorded reply goes to the server as a request."""

    def on_request(self, mitm: "Mitm", request: Message) -> Message:
        return dataclasses.replace(request, body=request.body[:7] + mitm.replies[0])


class Answer(Attack):
    """The server runs the request; the client gets this instead of the reply."""

    def __init__(self, status: str, kind: str = "text/plain", body: bytes = b"", fields: tuple[tuple[str, str], ...] = ()) -> None:
        self.message = Message(f"HTTP/1.1 {status}", [("Content-Type", kind), *fields], body)
        self.name = f"{status}, {kind}, {len(body)} bytes"

    def __str__(self) -> str:
        return self.name

    def on_reply(self, mitm: "Mitm", request: Message, reply: Message) -> Message:
        return self.message


class Break(Attack):
    """The server runs the request; the client's connection breaks instead of the reply."""

    def on_reply(self, mitm: "Mitm", request: Message, reply: Message) -> Message:
        raise Closed


class Swallow(Attack):
    """The request does not arrive, and the client's connection breaks."""

    def on_request(self, mitm: "Mitm", request: Message) -> Message | None:
        return None


class CutReply(Attack):
    """The connection breaks in the middle of the reply: at a share of its bytes."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __str__(self) -> str:
        return f"cut at {self.share}"

    def send_reply(self, client: Wire, reply: Message) -> None:
        data = reply.encoded()
        client.send(data[:int(len(data) * self.share)])
        raise Closed


class Drip(Attack):
    """Harmless: the reply comes late and in small pieces."""

    def send_reply(self, client: Wire, reply: Message) -> None:
        for piece in pieces(reply.encoded(), 97):
            client.send(piece)
            time.sleep(0.001)


class Twice(Attack):
    """The server gets the request once more, on another connection."""

    def __init__(self) -> None:
        self.second: Message | None = None

    def on_reply(self, mitm: "Mitm", request: Message, reply: Message) -> Message:
        self.second = mitm.ask(request)
        return reply


# --- the man -----------------------------------------------------------------------------------


class Mitm:
    """Listens, passes on, records. `attack` is used for the next sealed exchange and gone then; `evidence` for every
    evidence document until it is taken back. Thread-safe enough for tests that wait for their answers."""

    def __init__(self, server: tuple[str, int], port: int = 0, seed: int = 1) -> None:
        self.server, self.dice = server, random.Random(seed)
        self.attack: Attack | None = None
        self.evidence: Callable[[Mitm, Message, Message], Message] | None = None
        self.requests: list[bytes] = []  # bodies of sealed requests, as the client sent them
        self.replies: list[bytes] = []   # of sealed replies, as the server sent them
        self.documents: list[bytes] = []
        self.seen: list[bytes] = []      # all that came from either side
        self.num_refused = 0             # replies that were not sealed
        self.share = 0.0                 # of exchanges that are attacked at random
        self.listener = socket.create_server(("127.0.0.1", port))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.open: set[socket.socket] = set()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self) -> "Mitm":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.listener.close()
        self.break_all()

    def break_all(self) -> None:
        """Every connection breaks now."""
        for connection in list(self.open):
            Wire(connection).reset()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.open.add(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        upstream: Wire | None = None
        try:
            client = Wire(connection)
            while True:
                request = client.read()
                self.seen.append(request.encoded())
                if upstream is None:
                    upstream = Wire(socket.create_connection(self.server, timeout=PATIENCE))
                path = request.start.split(" ")[1].partition("?")[0]
                attack = self.next_attack() if path == SEALED_PATH else Attack()
                altered = attack.on_request(self, request)
                if altered is None:
                    client.send(attack.on_silence(self, request).encoded())
                    continue
                upstream.send(altered.encoded())
                reply = upstream.read()
                self.seen.append(reply.encoded())
                attack.send_reply(client, self.handle(path, attack, request, reply))
        except (Closed, OSError, ValueError):
            pass
        finally:
            self.open.discard(connection)
            Wire(connection).reset() if connection.fileno() >= 0 else None
            if upstream is not None:
                upstream.close()

    def next_attack(self) -> Attack:
        attack, self.attack = self.attack, None
        if attack is None and self.dice.random() < self.share:
            attack = self.random_attack()
        return attack or Attack()

    def random_attack(self) -> Attack:
        return self.dice.choice([RequestEdit(self.dice.choice(REQUEST_EDITS)), ReplyEdit(self.dice.choice(EDITS)), Break(), Swallow(),
                                 CutReply(self.dice.random()), Answer("400 Bad Request"), Drip(), Twice()])

    def handle(self, path: str, attack: Attack, request: Message, reply: Message) -> Message:
        if path == EVIDENCE_PATH:
            self.documents.append(reply.body)
            return self.evidence(self, request, reply) if self.evidence else reply
        if path != SEALED_PATH:
            return reply
        if not reply.field("content-type").startswith("message/ohttp-chunked-res"):
            self.num_refused += 1
            return attack.on_reply(self, request, reply)
        given = attack.on_reply(self, request, reply)
        self.requests.append(request.body)
        self.replies.append(reply.body)
        return given

    def ask(self, request: Message) -> Message:
        """Sends a message of its own to the server."""
        with contextlib.closing(Wire(socket.create_connection(self.server, timeout=PATIENCE))) as wire:
            wire.send(request.encoded())
            return wire.read()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--to", required=True, metavar="HOST:PORT")
    arguments.add_argument("--listen", type=int, default=0, metavar="PORT")
    arguments.add_argument("--share", type=float, default=0.0)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    host, _, port = options.to.rpartition(":")
    mitm = Mitm((host, int(port)), options.listen, options.seed)
    mitm.share = options.share
    print(f"{mitm.url} -> {options.to}", file=sys.stderr)
    mitm.thread.join()


if __name__ == "__main__":
    main()
