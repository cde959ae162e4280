"""A man in the middle between `tacit connect` and `tacit serve`: the application gets the right answer or an error that
says why, the server runs a request once at most, and nothing can be read on the way."""

import contextlib
import dataclasses
import pathlib
import sys

import httpx
import pytest

import harness
from harness import MODEL, Server, eventually, patience, running, tacit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "adversary"))
import mitm as middle  # noqa: E402
from mitm import Answer, Break, CutReply, Direction, Drip, Message, Mitm, ReplyEdit, RequestEdit, Swallow, Twice  # noqa: E402

CANARY = "Kanarienvogelgesang"
# Long enough for two frames, and short for the model.
BODY = {"model": MODEL, "max_tokens": 6, "temperature": 0, "seed": 1, "metadata": {"long": "x" * 70_000},
        "messages": [{"role": "user", "content": CANARY}]}
PLAIN = b'{"choices":[{"message":{"role":"assistant","content":"believe me"}}],"object":"chat.completion"}'


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, models: pathlib.Path):
    """The server itself, whatever the environment puts before others."""
    harness_sealed, harness.SEALED = harness.SEALED, False
    try:
        home = harness.make_home(tmp_path_factory.mktemp("adversary"), models)
        with running(home) as server:
            yield server
    finally:
        harness.SEALED = harness_sealed


@contextlib.contextmanager
def tunnel(direct: Server, mitm: Mitm, *arguments: str):
    """A `tacit connect` whose way to the server is the man's."""
    client = dataclasses.replace(direct, url=mitm.url, tunnel=None)
    harness.connect_sealed(client, *arguments)
    try:
        yield client
    finally:
        client.tunnel.kill()
        client.tunnel.wait()


@pytest.fixture(scope="module")
def man(direct: Server):
    with Mitm(("127.0.0.1", direct.port)) as mitm:
        yield mitm


@pytest.fixture(scope="module")
def client(direct: Server, man: Mitm):
    with tunnel(direct, man) as client:
        assert ask(client).status_code == 200  # recorded, to splice from
        yield client


@pytest.fixture(scope="module")
def right_answer(direct: Server) -> str:
    return ask(direct).json()["choices"][0]["message"]["content"]


def ask(server: Server, **more) -> httpx.Response:
    with server.http(timeout=patience(60)) as http:
        return http.post("/v1/chat/completions", json={**BODY, **more})


def runs(direct: Server) -> int:
    direct.wait_idle()
    return int(direct.metric("vllm:request_success_total"))


def told_why(answer: httpx.Response) -> None:
    assert answer.status_code >= 400, answer.text
    error = answer.json()["error"]
    assert error["message"] and error["type"]
    assert CANARY not in answer.text


def outcome(client: Server, direct: Server, right_answer: str, runs_max: int = 1) -> httpx.Response | None:
    """Asks once; what comes is right or an error, and the server has run it once at most."""
    before = runs(direct)
    answer = None
    with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):  # cut for the application, too
        answer = ask(client)
        if answer.status_code == 200:
            assert answer.json()["choices"][0]["message"]["content"] == right_answer
        else:
            told_why(answer)
    assert runs(direct) - before <= runs_max
    return answer


@pytest.mark.parametrize("edit", middle.REQUEST_EDITS, ids=lambda edit: edit.__name__)
def test_altered_requests(client: Server, man: Mitm, direct: Server, right_answer: str, edit) -> None:
    for _ in range(3):
        man.attack = RequestEdit(edit)
        answer = outcome(client, direct, right_answer, runs_max=0)
        assert answer is not None and answer.status_code != 200
    assert ask(client).status_code == 200, "the next request is as good as ever"


@pytest.mark.parametrize("edit", middle.EDITS, ids=lambda edit: edit.__name__)
def test_altered_replies(client: Server, man: Mitm, direct: Server, right_answer: str, edit) -> None:
    for _ in range(3):
        man.attack = ReplyEdit(edit)
        answer = outcome(client, direct, right_answer)
        assert answer is None or answer.status_code != 200
    assert ask(client).status_code == 200


@pytest.mark.parametrize("attack", [
    Answer("200 OK", "application/json", PLAIN), Answer("200 OK", "message/ohttp-chunked-res", PLAIN), Answer("200 OK", "message/ohttp-chunked-res"),
    Answer("404 Not Found", "application/json", PLAIN), Answer("500 Internal Server Error", "text/html", b"<h1>old server</h1>"),
    Answer("503 Service Unavailable"), Answer("204 No Content"), Answer("401 Unauthorized", fields=(("WWW-Authenticate", "Bearer"),)),
    Answer("307 Temporary Redirect", fields=(("Location", "http://127.0.0.1:9/"),)), Answer("426 Upgrade Required"),
    CutReply(0.05), CutReply(0.5), CutReply(0.99)], ids=str)
def test_other_answers(client: Server, man: Mitm, direct: Server, right_answer: str, attack) -> None:
    man.attack = attack
    answer = outcome(client, direct, right_answer)
    assert answer is None or answer.status_code != 200
    assert ask(client).status_code == 200


def test_a_request_that_was_run_is_not_run_again(client: Server, man: Mitm, direct: Server, right_answer: str) -> None:
    """The server runs it; the client sees a broken connection, or a refusal in the server's name."""
    for attack in (Break(), Answer("400 Bad Request", "application/problem+json", b"{}")):
        before = runs(direct)
        man.attack = attack
        answer = outcome(client, direct, right_answer)
        assert answer is not None and answer.status_code != 200
        assert runs(direct) == before + 1


def test_a_request_that_was_lost_is_sent_again(client: Server, man: Mitm, direct: Server, right_answer: str) -> None:
    before = runs(direct)
    man.attack = Swallow()
    answer = outcome(client, direct, right_answer)
    assert answer is not None and answer.status_code == 200
    man.break_all()  # connections that wait in the pool
    answer = outcome(client, direct, right_answer)
    assert answer is not None and answer.status_code == 200
    assert runs(direct) == before + 2


def test_slowness_does_no_harm(client: Server, man: Mitm, direct: Server, right_answer: str) -> None:
    man.attack = Drip()
    answer = outcome(client, direct, right_answer)
    assert answer is not None and answer.status_code == 200


def test_a_recorded_request_opens_no_more(client: Server, man: Mitm, direct: Server) -> None:
    twice = Twice()
    man.attack = twice
    assert ask(client).status_code == 200
    before = runs(direct)
    assert twice.second is not None and twice.second.start.split()[1] == "400"
    refusal = twice.second.body
    # Of those without a key (a client's last resort when it was refused) nothing is noted: they can do nothing.
    for number, recorded in enumerate(man.requests):
        request = Message(f"POST {middle.SEALED_PATH} HTTP/1.1", [("Host", "x"), ("Content-Type", "message/ohttp-chunked-req")], recorded)
        answer = man.ask(request)
        if number == 0 or answer.start.split()[1] != "200":
            assert answer.start.split()[1] == "400" and answer.body == refusal
    assert runs(direct) == before


def test_a_reply_is_no_request(client: Server, man: Mitm, direct: Server, right_answer: str) -> None:
    man.attack = Direction()
    answer = outcome(client, direct, right_answer, runs_max=0)
    assert answer is not None and answer.status_code != 200


# --- evidence ------------------------------------------------------------------------------------


def replayed(man: Mitm, request: Message, reply: Message) -> Message:
    return dataclasses.replace(reply, body=man.documents[0])


def flipped(man: Mitm, request: Message, reply: Message) -> Message:
    return dataclasses.replace(reply, body=middle.flip(reply.body, 0, b"", man.dice))


def cut(man: Mitm, request: Message, reply: Message) -> Message:
    return dataclasses.replace(reply, body=reply.body[:-1])


def of_another_version(man: Mitm, request: Message, reply: Message) -> Message:
    return dataclasses.replace(reply, body=b"TEV0" + reply.body[4:])


def key_swapped(man: Mitm, request: Message, reply: Message) -> Message:
    """The configuration's public key, by a random one."""
    at = reply.body.index(b"\x64\x7a") + 2
    return dataclasses.replace(reply, body=reply.body[:at] + man.dice.randbytes(1216) + reply.body[at + 1216:])


def of_an_old_server(man: Mitm, request: Message, reply: Message) -> Message:
    return Message("HTTP/1.1 404 Not Found", [("Content-Type", "application/json")], b'{"error":{"message":"no such route"}}')


def endless(man: Mitm, request: Message, reply: Message) -> Message:
    return dataclasses.replace(reply, body=reply.body + bytes(1 << 20))


def elsewhere(man: Mitm, request: Message, reply: Message) -> Message:
    return Message("HTTP/1.1 302 Found", [("Location", "http://127.0.0.1:9" + middle.EVIDENCE_PATH)])


@pytest.mark.parametrize("evidence", [replayed, flipped, cut, of_another_version, key_swapped, of_an_old_server, endless, elsewhere],
                         ids=lambda evidence: evidence.__name__)
def test_false_evidence_is_not_believed(direct: Server, tmp_path: pathlib.Path, evidence) -> None:
    with Mitm(("127.0.0.1", direct.port)) as man:
        home = harness.make_home(tmp_path, None)
        assert tacit("connect", man.url, "--check", home=home).returncode == 0  # pinned
        man.evidence = evidence
        refused = tacit("connect", man.url, "--check", home=home)
        assert refused.returncode == 1 and refused.stderr.startswith("error: "), refused.stderr
        assert not man.requests


def test_another_server_is_not_taken_for_it(direct: Server, tmp_path: pathlib.Path, empty_home: pathlib.Path) -> None:
    """Somebody else's true evidence, at first and in the middle of a session."""
    harness_sealed, harness.SEALED = harness.SEALED, False
    try:
        with running(empty_home, "--sealed-key-life", "2", model=None) as brief, Mitm(("127.0.0.1", brief.port)) as man:
            with tunnel(brief, man) as client:
                with client.http() as http:
                    assert http.get("/v1/models").status_code == 200
                    man.server = ("127.0.0.1", direct.port)
                    man.break_all()
                    num_requests = len(man.requests)

                    def refused() -> bool:
                        answer = http.get("/v1/models")
                        return answer.status_code == 403 and "not the one that is trusted" in answer.text
                    eventually("the other server is refused", refused)
                    assert len(man.requests) == num_requests, "no request opened there"
                    man.server = ("127.0.0.1", brief.port)
                    man.break_all()
                    eventually("the right one is used again", lambda: http.get("/v1/models").status_code == 200)
    finally:
        harness.SEALED = harness_sealed


# --- what he has seen --------------------------------------------------------------------------------


def test_nothing_could_be_read(client: Server, man: Mitm, direct: Server, right_answer: str) -> None:
    man.share = 0.3  # at random, for good measure
    for _ in range(20):
        outcome(client, direct, right_answer)
    man.share = 0.0
    assert ask(client).status_code == 200
    seen = b"".join(man.seen)
    assert len(man.seen) > 20 and len(right_answer) > 8
    for word in (CANARY, MODEL, "chat/completions", direct.key, direct.key[3:], right_answer, "assistant", "prompt_tokens"):
        assert word.encode() not in seen, f"{word!r} went over the wire"
