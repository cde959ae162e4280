"""Clients of Oblivious HTTP that are not ours, made of the Rust crates `ohttp` and `bhttp` and of Go's
github.com/openpcc/ohttp (tests/interop/rust, tests/interop/go), hold conversations with `tacit serve --ohttp`,
plain and chunked, X-Wing included; once also through `tacit relay`."""

import hashlib
import os
import pathlib
import secrets
import shutil
import subprocess

import pytest

import harness
from harness import MODEL, Server, eventually, patience
from test_privacy import memory_holds
from test_relay import GATEWAY, relaying

INTEROP = pathlib.Path(__file__).parent.parent / "interop"


@pytest.fixture(scope="module")
def ohttp_server(tmp_path_factory: pytest.TempPathFactory, models: pathlib.Path):
    home = harness.make_home(tmp_path_factory.mktemp("server"), models)
    with harness.running(home, "--ohttp") as running:
        yield running


def cache(source: pathlib.Path, *files: str) -> pathlib.Path:
    """Where what is built of a client is kept; another one as soon as these files change."""
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tacit"
    digest = hashlib.sha256(b"".join((source / name).read_bytes() for name in files)).hexdigest()
    folder = base / f"interop-{source.name}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(tool: str, source: pathlib.Path, get: list[str], make: list[str], env: dict[str, str]) -> None:
    """Builds a client; skips the test where the toolchain or the packages cannot be had."""
    if shutil.which(tool) is None:
        pytest.skip(f"SKIPPED: no {tool} on this machine")
    environment = {**os.environ, **env}
    got = subprocess.run(get, cwd=source, env=environment, capture_output=True, text=True, timeout=patience(150))
    if got.returncode != 0:
        pytest.skip(f"SKIPPED: the packages of tests/interop/{source.name} cannot be had: {got.stderr.strip()[-300:]}")
    made = subprocess.run(make, cwd=source, env=environment, capture_output=True, text=True, timeout=patience(400))
    assert made.returncode == 0, made.stderr


def built_rust() -> pathlib.Path:
    source = INTEROP / "rust"
    target = cache(source, "Cargo.lock")
    build("cargo", source, ["cargo", "fetch", "--locked"], ["cargo", "build", "--locked", "--release", "--bin", "client"],
          {"CARGO_TARGET_DIR": str(target)})
    return target / "release" / "client"


def built_go() -> pathlib.Path:
    source = INTEROP / "go"
    program = cache(source, "go.sum") / "client"
    build("go", source, ["go", "mod", "download"], ["go", "build", "-mod=readonly", "-o", str(program), "."], {"GOFLAGS": ""})
    return program


def converse(program: pathlib.Path, server: Server, **more: str) -> list[str]:
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=patience(120),
                          env={"PATH": os.environ["PATH"], "TACIT_URL": server.url, "TACIT_KEY": server.key, "TACIT_MODEL": MODEL, **more})
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("ok ")]


def test_rust(ohttp_server: Server) -> None:
    said = converse(built_rust(), ohttp_server)
    assert len(said) == 2 * 2 * 2 + 1  # KEMs, forms, kinds of binary HTTP; and what was altered
    assert sum("XWing" in line for line in said) == 4


def test_go(ohttp_server: Server) -> None:
    said = converse(built_go(), ohttp_server)
    assert len(said) == 2 * 2 * 2 * 2  # KEMs, AEADs, forms, answers that stream or not
    assert sum("0x647a" in line for line in said) == 8


@pytest.mark.skipif(harness.SANITIZED, reason="sanitizers keep freed memory on purpose")
def test_nothing_of_a_request_stays_in_memory(ohttp_server: Server) -> None:
    canary = "canary" + secrets.token_hex(8)
    converse(built_go(), ohttp_server, TACIT_PROMPT=canary)
    converse(built_go(), ohttp_server)
    eventually("no prompt in memory", lambda: not memory_holds(ohttp_server.pid, canary.encode()))
    assert canary not in ohttp_server.log()


def test_go_through_a_relay(ohttp_server: Server, tmp_path: pathlib.Path) -> None:
    with relaying(tmp_path, ohttp_server.url, "--rate", "0") as (_, url, _log):
        assert len(converse(built_go(), ohttp_server, TACIT_GATEWAY=url + GATEWAY)) == 16
