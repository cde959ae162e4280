"""Runs tests/interop, a client of sealed HTTP written from the specification alone, on the test vectors and
against a server of its own."""

import os
import pathlib
import shutil
import subprocess

import pytest

from harness import Server, patience, running

TESTS = pathlib.Path(__file__).parent.parent


def test_interop_js(server: Server, empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    node = os.environ.get("TACIT_E2E_NODE") or shutil.which("node")
    modules = os.environ.get("TACIT_E2E_NODE_MODULES")
    if not node or not modules:
        pytest.skip("SKIPPED: no Node or no npm packages (TACIT_E2E_NODE, TACIT_E2E_NODE_MODULES); ./dev e2e prepares both")
    folder = tmp_path / "interop"
    shutil.copytree(TESTS / "interop", folder)
    (folder / "node_modules").symlink_to(modules)  # where `import` looks; it knows no search path
    with running(empty_home, "--sealed-key-life", "2", model=None) as brief:
        done = subprocess.run(
            [node, "--test", "--test-reporter=spec", str(folder / "sealed_client.test.mjs")],
            capture_output=True, text=True, timeout=patience(240),
            env={"PATH": os.environ["PATH"], "TACIT_VECTORS": str(TESTS / "vectors" / "sealed-http.txt"),
                 "TACIT_URL": server.url, "TACIT_KEY": server.key,
                 "TACIT_BRIEF_URL": brief.url, "TACIT_BRIEF_KEY": brief.key})
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
