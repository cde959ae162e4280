"""`tacit relay` between `tacit connect` and `tacit serve`: what it carries, what it refuses, and what it knows."""

import contextlib
import pathlib
import re
import secrets

import httpx
import pytest

import harness
from harness import MODEL, Server, connect_sealed, patience, start_relay
from test_privacy import memory_holds

GATEWAY = "/.well-known/ohttp-gateway"


@contextlib.contextmanager
def relaying(root: pathlib.Path, *arguments: str):
    """A running relay: its process, its address and the file it logs to."""
    process, url, log_path = start_relay(root, *arguments)
    try:
        yield process, url, log_path
    finally:
        process.terminate()
        assert process.wait(patience(20)) == 0


@pytest.mark.parametrize("batch", [(), ("--batch", "4/50")], ids=["at once", "batched"])
def test_carries_what_it_cannot_read(own_server: Server, tmp_path: pathlib.Path, batch: tuple[str, ...]) -> None:
    direct = own_server.url if own_server.tunnel is None else ""
    if not direct:
        pytest.skip("SKIPPED: already behind tacit connect")
    canary = "canary" + secrets.token_hex(12)
    with relaying(tmp_path, direct, *batch) as (relay, url, log):
        said = connect_sealed(own_server, "--relay", url)
        assert "Through" in said
        answer = own_server.client().chat.completions.create(
            model=MODEL, max_tokens=8, messages=[{"role": "user", "content": canary}])
        assert answer.choices[0].message.content
        chunks = list(own_server.client().chat.completions.create(
            model=MODEL, max_tokens=8, stream=True, messages=[{"role": "user", "content": canary}]))
        assert len(chunks) > 2
        with own_server.http() as http:  # long enough to be passed on while it comes
            tokens = http.post("/tokenize", json={"model": MODEL, "content": canary * 4000})
            assert tokens.status_code == 200 and len(tokens.json()["tokens"]) > 4000
        for secret in (canary, own_server.key, "/v1/chat"):
            assert not memory_holds(relay.pid, secret.encode()), secret
    text = log.read_text()
    assert canary not in text and own_server.key not in text
    assert re.search(r"relay\.counts forwarded=[3-9]", text), text
    # No address but those of the relay and its target.
    named = set(re.findall(r"127\.0\.0\.1:\d+", text))
    assert named <= {url.removeprefix("http://"), direct.removeprefix("http://")}, named


def test_carries_nothing_else_and_not_too_much(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with harness.running(empty_home, model=None) as server, \
            relaying(tmp_path, server.url, "--rate", "1") as (_, url, _log), \
            httpx.Client(base_url=url, trust_env=False, timeout=patience(20)) as http:
        assert http.get("/health").status_code == 200
        assert http.get("/v1/models").status_code == 404
        assert http.post(GATEWAY, content=b"{}", headers={"content-type": "application/json"}).status_code == 404
        evidence = http.get("/.well-known/tacit/evidence?nonce=" + "ab" * 32)
        assert evidence.status_code == 200 and evidence.headers["content-type"] == "application/tacit-evidence"
        refusal = http.post(GATEWAY, content=b"x", headers={"content-type": "message/ohttp-chunked-req"})
        assert refusal.status_code == 400 and "ohttp-key" in refusal.text
        limited = [http.post(GATEWAY, content=b"x", headers={"content-type": "message/ohttp-chunked-req"}) for _ in range(5)]
        assert limited[-1].status_code == 429 and limited[-1].headers["retry-after"]


def test_several_servers_have_a_path_each(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with harness.running(empty_home, model=None) as server, \
            relaying(tmp_path, server.url, "http://127.0.0.1:1") as (_, url, _log), \
            httpx.Client(trust_env=False, timeout=patience(20)) as http:
        assert url.endswith(server.url.removeprefix("http:/"))
        assert http.get(url + "/.well-known/tacit/evidence").status_code == 200
        other = url.replace(server.url.removeprefix("http://"), "127.0.0.1:1")
        assert http.get(other + "/.well-known/tacit/evidence").status_code == 502
