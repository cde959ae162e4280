"""Runs openai_node.test.mjs, the npm client's suite, against a server of its own."""

import pathlib

from harness import Server, run_node_tests

HERE = pathlib.Path(__file__).parent


def test_openai_node(server: Server) -> None:
    run_node_tests(HERE, "openai_node.test.mjs", TACIT_URL=server.url, TACIT_KEY=server.key)
