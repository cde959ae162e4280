"""The npm package `ehbp`, unchanged, holds conversations with `tacit serve --ehbp`."""

import os
import pathlib
import secrets
import shutil

import pytest

import harness
from harness import eventually, run_node_tests
from test_privacy import memory_holds

INTEROP = pathlib.Path(__file__).parent.parent / "interop"


def test_ehbp(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    modules = pathlib.Path(os.environ.get("TACIT_E2E_NODE_MODULES", "nowhere"))
    if not (modules / "ehbp").is_dir():
        pytest.skip("SKIPPED: the npm package ehbp is not there; ./dev e2e gets it")
    folder = tmp_path / "interop"
    folder.mkdir()
    shutil.copy(INTEROP / "ehbp_client.test.mjs", folder)
    (folder / "node_modules").symlink_to(modules)  # where `import` looks; it knows no search path
    canary = "canary" + secrets.token_hex(8)
    with harness.running(home, "--ehbp", "--sealed-only") as server:
        run_node_tests(folder, "ehbp_client.test.mjs", TACIT_URL=server.url, TACIT_KEY=server.key, TACIT_PROMPT=canary)
        if not harness.SANITIZED:  # they keep freed memory on purpose
            run_node_tests(folder, "ehbp_client.test.mjs", TACIT_URL=server.url, TACIT_KEY=server.key, TACIT_PROMPT="Hello.")
            eventually("no prompt in memory", lambda: not memory_holds(server.pid, canary.encode()))
        assert canary not in server.log()
