"""`tacit run --via`: a chat with a model of another server, through the sealed channel."""

import pathlib

import harness
from harness import MODEL, Server, running, tacit

QUESTION = ("run", MODEL, "--temperature", "0", "Name three colours.")


def via(server: Server, home: pathlib.Path, *arguments: str):
    return tacit("run", MODEL, "--via", server.url, "--temperature", "0", *arguments, "Name three colours.",
                 home=home, env={"TACIT_API_KEY": server.key})


def test_it_answers_as_here_and_says_what_was_proved(server: Server, home: pathlib.Path, empty_home: pathlib.Path) -> None:
    here = tacit(*QUESTION, home=home)
    first = via(server, empty_home)
    assert (first.returncode, first.stdout) == (0, here.stdout), first.stderr
    assert "seen for the first time" in first.stderr and "no hardware vouches" in first.stderr
    again = via(server, empty_home)
    assert again.returncode == 0 and "the one pinned at first use" in again.stderr
    assert via(server, empty_home, "-q").stderr.count("Sealed") == 0


def test_it_is_served_sealed(server: Server, home: pathlib.Path, empty_home: pathlib.Path) -> None:
    with running(home, "--sealed-only") as only:
        assert via(only, empty_home).returncode == 0


def test_another_server_gets_nothing(server: Server, empty_home: pathlib.Path) -> None:
    refused = via(server, empty_home, "--trust", "tacit1:" + "0" * 64)
    assert refused.returncode == 1 and not refused.stdout
    assert "not the one that is trusted" in refused.stderr


def test_refusals_are_explained(server: Server, empty_home: pathlib.Path) -> None:
    unknown = tacit("run", "no-such-model", "--via", server.url, "hi", home=empty_home, env={"TACIT_API_KEY": server.key})
    assert unknown.returncode == 1 and "no-such-model" in unknown.stderr
    stranger = tacit("run", MODEL, "--via", server.url, "hi", home=empty_home)
    assert stranger.returncode == 1 and "TACIT_API_KEY" in stranger.stderr
    nobody = tacit("run", MODEL, "--via", f"http://127.0.0.1:{harness.free_port()}", "hi", home=empty_home)
    assert nobody.returncode == 1 and nobody.stderr.startswith("error: ")
