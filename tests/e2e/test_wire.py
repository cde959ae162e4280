"""What goes over the wire when applications talk through `tacit connect`: recorded by a proxy of our own, and by tshark on
loopback where it may capture. Nothing of what was said is there, and sizes are the declared ones."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading

import openai
import pytest

import harness
from harness import MODEL, Server, eventually, patience, running

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "adversary"))
from mitm import REPLY_HEAD, REQUEST_HEAD, Message, Wire, parts  # noqa: E402

CANARY = "Kanarienvogelgesang"
FRAME_BYTES = 512  # of replies, unless `tacit connect` is told otherwise
TAG_BYTES = 16
PRELUDE_BYTES = 1280
SEALED_TARGET = "POST /.well-known/ohttp-gateway HTTP/1.1"


def bucket(n: int) -> int:
    """docs/spec/sealed-http.md, section 5."""
    power = 1024
    while power < n:
        power *= 2
    if power <= 65536:
        return power
    step = power // 16
    return (n + step - 1) // step * step


class Recorder:
    """Passes connections on and keeps every byte, each direction of each connection apart."""

    def __init__(self, port: int) -> None:
        self.to, self.streams = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                up, down = bytearray(), bytearray()
                self.streams.append((up, down))
                for source, sink, kept in ((client, server, up), (server, client, down)):
                    threading.Thread(target=self.pump, args=(source, sink, kept), daemon=True).start()

    @staticmethod
    def pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Held(Wire):
    """Messages of a recorded stream."""

    def __init__(self, data: bytes) -> None:
        self.held = data

    def more(self) -> None:
        raise EOFError

    def messages(self) -> list[Message]:
        found = []
        while self.held:
            found.append(self.read())
        return found


def converse(client: Server, words: list[str]) -> None:
    """A conversation of every kind. Adds to `words` what was said in it."""
    api = client.client()
    words += [model.id for model in api.models.list()]
    question = {"model": MODEL, "temperature": 0, "messages": [{"role": "user", "content": f"{CANARY}? Say something about it."}]}
    answer = api.chat.completions.create(**question, max_tokens=40)
    words.append(answer.choices[0].message.content[:24])
    text = ""
    for chunk in api.chat.completions.create(**question, max_tokens=40, stream=True, stream_options={"include_usage": True}):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    words.append(text[:24])
    with pytest.raises(openai.NotFoundError):
        api.chat.completions.create(model="another-" + CANARY, messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError):
        api.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": CANARY}], temperature=99)
    with client.http() as http:
        assert http.get("/v1/nowhere/" + CANARY).status_code == 404
        assert http.post("/v1/chat/completions", json={**question, "max_tokens": 1, "metadata": {"long": "y" * 100_000}}).status_code == 200


def look_for_words(words: list[str], data: bytes) -> None:
    for word in (CANARY, MODEL, "/v1/", "chat/completions", "messages", "assistant", "prompt_tokens", "usage", "temperature", "Bearer", *words):
        assert len(word) >= 4
        assert word.encode() not in data, f"{word!r} is on the wire"
        assert word.encode().hex().encode() not in data


def look_at_request(message: Message) -> None:
    assert message.start == SEALED_TARGET
    assert {name.lower() for name, _ in message.fields} == {"host", "user-agent", "content-length", "content-type", "incremental"}
    _, frames, final = parts(message.body, REQUEST_HEAD)
    sizes = [len(frame) - (4 if len(frame) > 16386 else 2) - TAG_BYTES for frame in frames] + [len(final) - 1 - TAG_BYTES]
    assert sizes[0] == PRELUDE_BYTES
    total = sum(sizes[1:])
    assert total == bucket(total), "a request's frames fill a bucket"
    assert all(size == 65536 for size in sizes[1:-1])


def look_at_reply(message: Message) -> None:
    assert message.start == "HTTP/1.1 200 OK", "whatever the status inside"
    assert {name.lower() for name, _ in message.fields} <= {"content-type", "cache-control", "transfer-encoding", "date", "x-request-id"}
    _, frames, final = parts(message.body, REPLY_HEAD)
    assert {len(frame) for frame in frames} <= {2 + FRAME_BYTES + TAG_BYTES} and len(final) == 1 + FRAME_BYTES + TAG_BYTES
    total = (len(frames) + 1) * FRAME_BYTES
    assert total == -(-bucket(total) // FRAME_BYTES) * FRAME_BYTES, "a reply's frames fill a bucket"


def look_at(streams: list[tuple[bytes, bytes]], words: list[str]) -> None:
    num_exchanges = 0
    for up, down in streams:
        look_for_words(words, up + b"\n" + down)
        for request, reply in zip(Held(up).messages(), Held(down).messages(), strict=True):
            if request.start.startswith("GET /.well-known/tacit/evidence?nonce="):
                continue
            look_at_request(request)
            look_at_reply(reply)
            num_exchanges += 1
    assert num_exchanges >= 7


@pytest.fixture
def direct(home: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness, "SEALED", False)
    with running(home) as server:
        yield server


@contextlib.contextmanager
def tunnel(direct: Server, port: int):
    client = dataclasses.replace(direct, url=f"http://127.0.0.1:{port}", tunnel=None)
    harness.connect_sealed(client)
    try:
        yield client
    finally:
        client.tunnel.send_signal(signal.SIGTERM)
        client.tunnel.wait()


def test_recorded_by_a_proxy(direct: Server) -> None:
    recorder = Recorder(direct.port)
    words = [direct.key, direct.key[3:]]
    with tunnel(direct, recorder.port) as client:
        converse(client, words)
    look_at([(bytes(up), bytes(down)) for up, down in recorder.streams], words)


def test_captured_by_tshark(direct: Server, tmp_path: pathlib.Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (apt-get install tshark); test_recorded_by_a_proxy looks at the same")
    folder = tmp_path / "capture"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    file, said = folder / "wire.pcapng", tmp_path / "said"
    with open(said, "wb") as log:
        capture = subprocess.Popen([tshark, "-i", "lo", "-f", f"tcp port {direct.port}", "-w", str(file)], stdout=log, stderr=log)
    def capturing() -> bool:
        if capture.poll() is not None:
            pytest.skip("tshark may not capture here: " + said.read_text(errors="replace").strip()[-200:])
        return "Capturing on" in said.read_text(errors="replace") and file.exists()
    words = [direct.key, direct.key[3:]]
    try:
        eventually("tshark captures", capturing, 20)
        with tunnel(direct, direct.port) as client:
            converse(client, words)
        # What is captured arrives in the file a little later.
        eventually("the last packet is in the file", lambda: ends_in_a_close(tshark, file, direct.port))
    finally:
        capture.send_signal(signal.SIGINT)
        capture.wait(patience(20))
    look_for_words(words, file.read_bytes())
    look_at(streams_of(tshark, file, direct.port), words)


def fields(tshark: str, file: pathlib.Path, shown: str, *names: str) -> list[list[str]]:
    options = [option for name in names for option in ("-e", name)]
    done = subprocess.run([tshark, "-r", str(file), "-Y", shown, "-T", "fields", *options], capture_output=True, text=True, timeout=patience(60),
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return [line.split("\t") for line in done.stdout.splitlines()]


def ends_in_a_close(tshark: str, file: pathlib.Path, port: int) -> bool:
    opened = {stream for stream, in fields(tshark, file, "tcp.flags.syn == 1", "tcp.stream")}
    closed = {stream for stream, in fields(tshark, file, f"(tcp.flags.fin == 1 || tcp.flags.reset == 1) && tcp.dstport == {port}", "tcp.stream")}
    return bool(opened) and opened == closed


def streams_of(tshark: str, file: pathlib.Path, port: int) -> list[tuple[bytes, bytes]]:
    """The bytes of each connection, as tshark has put them together."""
    found: dict[str, tuple[bytearray, bytearray]] = {}
    for stream, to, payload in fields(tshark, file, "tcp.len > 0 && !tcp.analysis.retransmission", "tcp.stream", "tcp.dstport", "tcp.payload"):
        up, down = found.setdefault(stream, (bytearray(), bytearray()))
        (up if int(to) == port else down).extend(bytes.fromhex(payload.replace(":", "")))
    return [(bytes(up), bytes(down)) for up, down in found.values()]
