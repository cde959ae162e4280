"""Runs clients_node.test.mjs, the suite of the other npm clients, against a server of its own."""

import os
import pathlib
import shutil
import subprocess

import pytest

from harness import Server, patience

HERE = pathlib.Path(__file__).parent


def test_clients_node(server: Server) -> None:
    node = os.environ.get("TACIT_E2E_NODE") or shutil.which("node")
    modules = os.environ.get("TACIT_E2E_NODE_MODULES")
    if not node or not modules:
        pytest.skip("SKIPPED: no Node or no npm packages (TACIT_E2E_NODE, TACIT_E2E_NODE_MODULES); ./dev e2e prepares both")
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(HERE / "clients_node.test.mjs")], capture_output=True, text=True, timeout=patience(240),
        env={"PATH": os.environ["PATH"], "TACIT_E2E_NODE_MODULES": modules, "TACIT_URL": server.url, "TACIT_KEY": server.key})
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
