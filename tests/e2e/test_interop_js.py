"""Runs tests/interop, a client of sealed HTTP written from the specification alone, on the test vectors and
against a server of its own."""

import os
import pathlib
import shutil

from harness import Server, run_node_tests, running

TESTS = pathlib.Path(__file__).parent.parent


def test_interop_js(server: Server, empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "interop"
    shutil.copytree(TESTS / "interop", folder)
    # Where `import` looks; it knows no search path.
    (folder / "node_modules").symlink_to(os.environ.get("TACIT_E2E_NODE_MODULES", "nowhere"))
    with running(empty_home, "--sealed-key-life", "2", model=None) as brief:
        run_node_tests(folder, "sealed_client.test.mjs", TACIT_VECTORS=str(TESTS / "vectors" / "sealed-http.txt"),
                       TACIT_URL=server.url, TACIT_KEY=server.key, TACIT_BRIEF_URL=brief.url, TACIT_BRIEF_KEY=brief.key)
