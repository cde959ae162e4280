"""Runs clients_node.test.mjs, the suite of the other npm clients, against a server of its own."""

import pathlib

from harness import Server, run_node_tests

HERE = pathlib.Path(__file__).parent


def test_clients_node(server: Server) -> None:
    run_node_tests(HERE, "clients_node.test.mjs", TACIT_URL=server.url, TACIT_KEY=server.key)
