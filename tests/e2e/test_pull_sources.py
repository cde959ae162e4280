"""hf:, ollama:, oci:// and https:// against local servers that speak the protocols, well and badly."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from harness import BIN, clean_environment, eventually, tacit
from test_store import gguf, names, verify

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Faults:
    """What goes wrong, and what was seen."""

    def __init__(self) -> None:
        self.ranges = True         # honour Range
        self.redirect = ""         # base of the host that files are really at
        self.cut_at = 0            # bytes of a body after which the connection breaks...
        self.cuts_left = 0         # ...that many times
        self.status: list[int] = []  # answered first, one a request
        self.damage = False        # the last byte is another one
        self.wrong_length = False  # one byte more than promised
        self.pause = 0.0
        self.token = ""            # asked for when not empty
        self.requests: list[tuple[str, str, str]] = []  # path, range, authorization


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, tuple[str, bytes]] = {}  # path: type, body
        self.faults = Faults()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *arguments) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        faults = self.server.faults
        path = self.path.split("?")[0]
        requested = self.headers.get("Range", "")
        faults.requests.append((self.path, requested, self.headers.get("Authorization", "")))
        if path == "/token":
            self.answer(200, json.dumps({"token": faults.token}).encode())
            return
        if faults.status:
            self.answer(faults.status.pop(0))
            return
        if faults.token and self.headers.get("Authorization") != f"Bearer {faults.token}":
            self.answer(401, WWW_Authenticate=f'Bearer realm="{self.server.url}/token",service="test",scope="repository:x:pull"')
            return
        if path not in self.server.files:
            self.answer(404)
            return
        kind, body = self.server.files[path]
        large = kind == "application/octet-stream"
        if large and faults.redirect:
            self.answer(302, Location=faults.redirect + self.path)
            return
        if large and faults.damage:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if large and faults.wrong_length:
            body += b"x"
        first, last, status = 0, len(body) - 1, 200
        if requested and faults.ranges:
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", requested)
            first, last, status = int(match[1]), min(int(match[2]), len(body) - 1), 206
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        part = body[first:last + 1]
        if large and faults.cuts_left > 0 and len(part) > faults.cut_at:
            faults.cuts_left -= 1
            self.wfile.write(part[:faults.cut_at])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        for at in range(0, len(part), 1 << 18):
            self.wfile.write(part[at:at + (1 << 18)])
            time.sleep(faults.pause if large else 0)


MODEL_BYTES = gguf(11, 4)
DIGEST = hashlib.sha256(MODEL_BYTES).hexdigest()
OCTETS = "application/octet-stream"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


def hub(server: Server, repository: str = "Acme/Tiny-GGUF", file: str = "Tiny-Q4_K_M.gguf") -> None:
    api = f"/api/models/{repository}"
    info = json.dumps({"sha": COMMIT, "tags": ["gguf", "license:mit"]}).encode()
    tree = [{"type": "file", "path": "README.md", "size": 3}, {"type": "directory", "path": "x"},
            {"type": "file", "path": file, "size": len(MODEL_BYTES), "lfs": {"oid": DIGEST, "size": len(MODEL_BYTES)}},
            {"type": "file", "path": "Tiny-Q8_0.gguf", "size": 9, "lfs": {"oid": "0" * 64, "size": 9}}]
    for revision in ("main", COMMIT):
        server.files[f"{api}/revision/{revision}"] = ("application/json", info)
    server.files[f"{api}/tree/{COMMIT}"] = ("application/json", json.dumps(tree).encode())
    server.files[f"/{repository}/resolve/{COMMIT}/{file}"] = (OCTETS, MODEL_BYTES)


def manifest(server: Server, repository: str, tag: str, kind: str = "application/vnd.ollama.image.model", weights: bytes = MODEL_BYTES) -> bytes:
    digest = hashlib.sha256(weights).hexdigest()
    licence = b"MIT licence text"
    layers = [{"mediaType": kind, "digest": f"sha256:{digest}", "size": len(weights), "annotations": {"org.opencontainers.image.title": "tiny.gguf"}},
              {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{hashlib.sha256(licence).hexdigest()}", "size": len(licence)}]
    body = json.dumps({"schemaVersion": 2, "config": {}, "layers": layers}).encode()
    server.files[f"/v2/{repository}/manifests/{tag}"] = ("application/vnd.docker.distribution.manifest.v2+json", body)
    server.files[f"/v2/{repository}/blobs/sha256:{digest}"] = (OCTETS, weights)
    server.files[f"/v2/{repository}/blobs/sha256:{hashlib.sha256(licence).hexdigest()}"] = (OCTETS, licence)
    return body


def pull(home: pathlib.Path, server: Server, *arguments: str, **env: str):
    return tacit("pull", *arguments, home=home, seconds=60, cwd=home,
                 env={"HF_ENDPOINT": server.url, "TACIT_OLLAMA_REGISTRY": server.url, "no_proxy": "127.0.0.1,localhost", "HOME": str(home), **env})


def shown(home: pathlib.Path, name: str) -> dict:
    return json.loads(tacit("show", name, "--json", home=home).stdout)


# --- Hugging Face -----------------------------------------------------------------------------


def test_hub_pins_what_it_saw(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    done = pull(empty_home, server, "hf:Acme/Tiny-GGUF")
    assert done.returncode == 1 and "--allow-unpinned" in done.stderr, "main moves, and nobody can be asked"
    assert names(empty_home) == set()
    done = pull(empty_home, server, "hf:Acme/Tiny-GGUF", "--allow-unpinned")
    assert done.returncode == 0, done.stderr
    facts = shown(empty_home, "acme/tiny-gguf:q4_k_m")
    assert facts["digest"] == f"sha256:{DIGEST}" and facts["license"] == "mit"
    assert facts["source"] == f"hf:Acme/Tiny-GGUF@{COMMIT}/Tiny-Q4_K_M.gguf" and facts["pinned_by"] == "nothing"
    lock = json.loads((empty_home / "tacit.lock").read_text())
    assert lock["models"][0]["reference"] == "hf:Acme/Tiny-GGUF@main" and lock["models"][0]["weights"] == f"sha256:{DIGEST}"

    # A colleague with the lock file needs no permission, and gets those bytes or none.
    other = empty_home / "other"
    other.mkdir()
    shutil.copy(empty_home / "tacit.lock", other / "tacit.lock")
    server.faults.requests.clear()
    done = pull(other, server)
    assert done.returncode == 0, done.stderr
    assert shown(other, "acme/tiny-gguf:q4_k_m")["pinned_by"] == "lock"
    assert not [path for path, *_ in server.faults.requests if path.endswith("/revision/main")], "the commit is asked for, not main"
    verify(other)


def test_hub_at_a_commit_is_pinned(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M", "--json", "--name", "tiny")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["phase"] == "resolved" and events[0]["pinned"] and events[0]["digest"] == f"sha256:{DIGEST}"
    assert events[-1]["phase"] == "installed" and names(empty_home) == {"tiny"}


def test_hub_token_goes_to_its_host_only(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    elsewhere = Server()
    elsewhere.files = server.files
    server.faults.token = "hf_secret"
    server.faults.redirect = elsewhere.url.replace("127.0.0.1", "localhost")
    reference = f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M"
    done = pull(empty_home, server, reference)
    assert done.returncode == 1 and "refused" in done.stderr
    done = pull(empty_home, server, reference, HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    assert elsewhere.faults.requests and all(authorization == "" for *_, authorization in elsewhere.faults.requests)
    assert "hf_secret" not in done.stdout + done.stderr
    elsewhere.shutdown()


def test_hub_says_what_there_is(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q2_K")
    assert done.returncode == 1 and "Tiny-Q8_0.gguf" in done.stderr
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/*.gguf")
    assert done.returncode == 1 and "several" in done.stderr
    done = pull(empty_home, server, "hf:Acme/Nothing", "--allow-unpinned")
    assert done.returncode == 1 and "does not have it" in done.stderr
    for odd in ("hf:../../etc", "hf:a", "ollama:", "oci://h"):
        done = pull(empty_home, server, odd)
        assert done.returncode == 1 and "fix:" in done.stderr


@pytest.mark.parametrize("fault", ["cut", "no_ranges", "busy", "cut_no_ranges"])
def test_bad_connections_are_survived(empty_home: pathlib.Path, server: Server, fault: str) -> None:
    hub(server)
    if "cut" in fault:
        server.faults.cut_at, server.faults.cuts_left = 1_000_000, 3
    if "no_ranges" in fault:
        server.faults.ranges = False
    if fault == "cut_no_ranges":
        server.faults.cut_at, server.faults.cuts_left = 3_000_000, 1
    if fault == "busy":
        server.faults.status = [503, 429]
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M")
    assert done.returncode == 0, done.stderr
    verify(empty_home)


@pytest.mark.parametrize("fault", ["damage", "wrong_length"])
def test_wrong_bytes_get_no_name(empty_home: pathlib.Path, server: Server, fault: str) -> None:
    hub(server)
    setattr(server.faults, fault, True)
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M")
    assert done.returncode == 1 and ("SHA-256" in done.stderr or "another size" in done.stderr), done.stderr
    assert names(empty_home) == set() and not list((empty_home / "models/blobs/sha256").iterdir())
    setattr(server.faults, fault, False)
    assert pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M").returncode == 0


def test_a_mirror_takes_over(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    mirror = Server()
    mirror.files = dict(server.files)
    del server.files[f"/Acme/Tiny-GGUF/resolve/{COMMIT}/Tiny-Q4_K_M.gguf"]
    done = pull(empty_home, server, f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M", HF_ENDPOINT=f"{server.url},{mirror.url}")
    assert done.returncode == 0, done.stderr
    mirror.shutdown()


def test_killed_pulls_go_on(empty_home: pathlib.Path, server: Server) -> None:
    hub(server)
    server.faults.pause = 0.05
    env = {**clean_environment(empty_home), "HF_ENDPOINT": server.url, "no_proxy": "127.0.0.1"}
    command = [BIN, "pull", f"hf:Acme/Tiny-GGUF@{COMMIT}/Q4_K_M", "--quiet"]
    partial = empty_home / "models/blobs/partial" / DIGEST
    process = subprocess.Popen(command, env=env)
    eventually("bytes arrive", lambda: partial.exists() and partial.stat().st_size > 500_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = partial.stat().st_size
    server.faults.requests.clear()
    server.faults.pause = 0
    assert subprocess.run(command, env=env).returncode == 0
    ranges = [r for path, r, _ in server.faults.requests if "/resolve/" in path]
    assert ranges == [f"bytes={held}-{len(MODEL_BYTES) - 1}"], "not a byte twice"
    verify(empty_home)


# --- registries -------------------------------------------------------------------------------


def test_ollama(empty_home: pathlib.Path, server: Server) -> None:
    manifest(server, "library/tiny", "1b")
    server.faults.token = "anonymous-but-needed"
    assert pull(empty_home, server, "ollama:tiny:1b").returncode == 1
    done = pull(empty_home, server, "ollama:tiny:1b", "--allow-unpinned")
    assert done.returncode == 0, done.stderr
    facts = shown(empty_home, "tiny:1b")
    assert facts["digest"] == f"sha256:{DIGEST}" and facts["files"][0]["role"] == "license"
    verify(empty_home)
    # The tag moves: what was locked is not silently replaced.
    manifest(server, "library/tiny", "1b", weights=gguf(12, 4))
    tacit("rm", "tiny:1b", home=empty_home)
    done = pull(empty_home, server, "ollama:tiny:1b")
    assert done.returncode == 1 and "other bytes" in done.stderr
    assert pull(empty_home, server, "ollama:tiny:1b", "--relock", "--allow-unpinned").returncode == 0


def test_oci_by_digest(empty_home: pathlib.Path, server: Server) -> None:
    body = manifest(server, "acme/tiny", "1.0", OCTETS)
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    server.files[f"/v2/acme/tiny/manifests/{digest}"] = server.files["/v2/acme/tiny/manifests/1.0"]
    host = server.url.removeprefix("http://")
    done = pull(empty_home, server, f"oci://{host}/acme/tiny@{digest}", "--name", "tiny")
    assert done.returncode == 0, done.stderr
    assert shown(empty_home, "tiny")["pinned_by"] == "source"
    server.files[f"/v2/acme/tiny/manifests/{digest}"] = ("application/json", body + b" ")
    done = pull(empty_home, server, f"oci://{host}/acme/tiny@{digest}", "--name", "other", "--relock")
    assert done.returncode == 1 and "digest" in done.stderr


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")
def test_a_real_registry(empty_home: pathlib.Path, tmp_path: pathlib.Path, server: Server) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    registry = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}/v2/acme/tiny"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(method: str, url: str, body: bytes | None = None, kind: str = OCTETS):
        request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
        return opener.open(request)

    def ready() -> bool:
        with contextlib.suppress(OSError):
            return call("GET", f"http://127.0.0.1:{port}/v2/").status == 200
        return False

    def push(body: bytes) -> dict:
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        place = urllib.parse.urljoin(base, call("POST", f"{base}/blobs/uploads/", b"").headers["Location"])
        call("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", body)
        return {"mediaType": OCTETS, "digest": digest, "size": len(body)}

    try:
        eventually("the registry answers", ready)
        weights = push(MODEL_BYTES)
        weights["annotations"] = {"org.opencontainers.image.title": "tiny.gguf"}
        config_blob = {**push(b"{}"), "mediaType": "application/vnd.oci.empty.v1+json"}
        kind = "application/vnd.oci.image.manifest.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.cncf.model.manifest.v1+json",
                           "config": config_blob, "layers": [weights]}).encode()
        call("PUT", f"{base}/manifests/1.0", body, kind)
        done = pull(empty_home, server, f"oci://127.0.0.1:{port}/acme/tiny:1.0", "--allow-unpinned")
        assert done.returncode == 0, done.stderr
        assert shown(empty_home, "tiny:1.0")["source"].startswith(f"oci://127.0.0.1:{port}/acme/tiny@sha256:")
        verify(empty_home)
    finally:
        registry.terminate()
        registry.wait()


# --- plain addresses, files, limits -----------------------------------------------------------


def test_http_with_and_without_a_digest(empty_home: pathlib.Path, server: Server) -> None:
    server.files["/a/Tiny.gguf"] = (OCTETS, MODEL_BYTES)
    url = f"{server.url}/a/Tiny.gguf"
    done = pull(empty_home, server, f"{url}#sha256={DIGEST}", "--name", "one")
    assert done.returncode == 0, done.stderr
    assert pull(empty_home, server, f"{url}#sha256={'0' * 64}", "--name", "two").returncode == 1
    assert pull(empty_home, server, url).returncode == 1
    done = pull(empty_home, server, url, "--allow-unpinned")
    assert done.returncode == 0, done.stderr
    assert names(empty_home) == {"one", "tiny"}
    lock = json.loads((empty_home / "tacit.lock").read_text())
    assert f"{url}#sha256={DIGEST}" in {entry["source"] for entry in lock["models"]}
    assert not list((empty_home / "models/downloads").iterdir())
    verify(empty_home)


def test_files_and_limits(empty_home: pathlib.Path, server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "here.gguf").write_bytes(MODEL_BYTES)
    done = pull(empty_home, server, f"file:{tmp_path}/here.gguf")
    assert done.returncode == 0 and names(empty_home) == {"here"}, done.stderr
    tacit("rm", "here", home=empty_home)
    server.files["/Tiny.gguf"] = (OCTETS, MODEL_BYTES)
    started = time.monotonic()
    done = pull(empty_home, server, f"{server.url}/Tiny.gguf#sha256={DIGEST}", "--limit-rate", "4M")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started > 0.8, "4 MiB at 4 MiB a second"
