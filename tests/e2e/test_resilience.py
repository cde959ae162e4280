"""What happens when something goes away: the worker, the server, the client, the disk."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import httpx
import openai
import pytest

import harness
from harness import MODEL, Server, alive, eventually, is_openai_error, patience, read_response, running, sse_events, tacit

FIRST_TEXT = re.compile(r'"content":\s*"[^"]')
STORY = [{"role": "user", "content": "Tell me a very long story about a fox, a river and a mountain."}]


def story(**more) -> dict:
    # A stop text that never comes is no hindrance; a high limit and a warm temperature keep it going.
    return {"model": MODEL, "messages": STORY, "max_tokens": 600, "temperature": 0.9, "seed": 11, "stream": True, **more}


class Reader(threading.Thread):
    """Reads one stream to its end in a thread; keeps what came and how it ended."""

    def __init__(self, server: Server, **more) -> None:
        super().__init__(daemon=True)
        self.server, self.body = server, story(**more)
        self.text, self.status, self.failure, self.complete = "", 0, None, False
        self.started = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with self.server.http() as http, http.stream("POST", "/v1/chat/completions", json=self.body) as answer:
                self.status = answer.status_code
                for piece in answer.iter_text():
                    self.text += piece
                    if FIRST_TEXT.search(self.text):
                        self.started.set()
            self.complete = True
        except httpx.HTTPError as failure:
            self.failure = failure
        finally:
            self.started.set()

    def wait_started(self) -> "Reader":
        assert self.started.wait(patience(60)), "no first token"
        return self

    def finish(self, seconds: float = 60) -> "Reader":
        self.join(patience(seconds))
        assert not self.is_alive(), "the stream never ended"
        return self


# --- the worker dies --------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_worker_killed_in_mid_answer(own_server: Server, how: signal.Signals) -> None:
    worker = own_server.worker()
    reader = Reader(own_server).wait_started()
    os.kill(worker, how)
    reader.finish()
    assert reader.complete, f"the stream ends in an orderly way, not {reader.failure!r}"
    assert reader.status == 200
    last = json.loads(sse_events(reader.text)[-1]) if sse_events(reader.text)[-1] != "[DONE]" else {}
    assert is_openai_error(last), f"an error event ends the stream, not {reader.text[-300:]!r}"
    assert "[DONE]" not in reader.text, "what failed is not called done"
    assert own_server.process.poll() is None, "the server stays"
    assert own_server.ask("Hello again", max_tokens=4), "the next request succeeds"
    assert own_server.worker() != worker
    own_server.wait_idle()


def test_worker_killed_under_a_whole_answer(own_server: Server) -> None:
    worker = own_server.worker()
    answers: list[httpx.Response] = []

    def ask() -> None:
        with own_server.http() as http:
            answers.append(http.post("/v1/chat/completions", json=story(stream=False)))

    thread = threading.Thread(target=ask)
    thread.start()
    eventually("the request runs", lambda: own_server.metric("vllm:num_requests_running") > 0)
    os.kill(worker, signal.SIGKILL)
    thread.join(patience(60))
    assert answers and answers[0].status_code in (500, 502, 503)
    assert is_openai_error(answers[0].json())
    assert "worker" in answers[0].json()["error"]["message"]
    assert own_server.ask("Hello again", max_tokens=4)


def test_the_python_client_sees_the_lost_worker(own_server: Server) -> None:
    stream = own_server.client().chat.completions.create(**story())
    with pytest.raises(openai.APIError) as lost:
        for number, _ in enumerate(stream):
            if number == 3:
                os.kill(own_server.worker(), signal.SIGKILL)
    assert "worker" in lost.value.message


def test_worker_killed_many_times(own_server: Server) -> None:
    for _ in range(4):
        reader = Reader(own_server).wait_started()
        os.kill(own_server.worker(), signal.SIGKILL)
        reader.finish()
        assert reader.complete
    assert own_server.ask("Hello again", max_tokens=4)
    assert len(own_server.workers()) == 1, "no worker is left behind"


def test_worker_killed_while_idle(own_server: Server) -> None:
    own_server.ask("Hello", max_tokens=2)
    worker = own_server.worker()
    os.kill(worker, signal.SIGKILL)
    eventually("the worker is reaped", lambda: not pathlib.Path(f"/proc/{worker}").exists())
    assert own_server.ask("Hello again", max_tokens=4)


def test_a_stopped_worker_does_not_stop_the_server(own_server: Server) -> None:
    worker = own_server.worker()
    reader = Reader(own_server).wait_started()
    os.kill(worker, signal.SIGSTOP)
    try:
        with own_server.http() as http:
            assert http.get("/health").status_code in (200, 503)
            assert http.get("/v1/models").status_code == 200
    finally:
        os.kill(worker, signal.SIGCONT)
    reader.finish()
    assert reader.complete and "[DONE]" in reader.text


def test_the_worker_dies_with_the_server(home: pathlib.Path) -> None:
    with running(home) as server:
        worker = server.worker()
        server.process.kill()
        server.process.wait()
        eventually("the orphan ends", lambda: not alive(worker))


# --- the server is asked to end ----------------------------------------------------------------


def test_sigterm_during_twenty_streams(home: pathlib.Path) -> None:
    with running(home, "--drain-timeout", "120") as server:
        readers = [Reader(server, max_tokens=40, seed=n) for n in range(20)]
        for reader in readers:
            reader.wait_started()
        server.process.send_signal(signal.SIGTERM)
        refusals = []

        def refused() -> bool:
            try:
                with server.http(timeout=patience(10)) as http:
                    answer = http.post("/v1/chat/completions", json=story(max_tokens=2, stream=False))
            except httpx.TransportError:
                refusals.append("closed")
                return True
            refusals.append(answer.status_code)
            return answer.status_code == 503
        eventually("new requests are refused", refused)
        assert set(refusals) <= {200, 503, "closed"}
        for reader in readers:
            reader.finish(120)
            assert reader.complete and "[DONE]" in reader.text, reader.failure or reader.text[-300:]
        assert server.wait_exit() == 0


def test_drain_has_a_limit(home: pathlib.Path) -> None:
    """What does not finish within the limit is ended with an error the client can see, and the exit is clean."""
    with running(home, "--drain-timeout", "1", "--context", "8192") as server:
        readers = [Reader(server, max_tokens=4000, seed=n) for n in range(8)]
        for reader in readers:
            reader.wait_started()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_exit(20) == 0
        for reader in readers:
            reader.finish()
            finished = reader.complete and "[DONE]" in reader.text
            told = '"error"' in reader.text or reader.failure is not None
            assert finished or told, "a cut answer must not look like a whole one"


def test_two_signals_end_at_once(home: pathlib.Path) -> None:
    with running(home, "--drain-timeout", "600", "--context", "8192") as server:
        Reader(server, max_tokens=4000).wait_started()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        server.wait_exit(20)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_cleanly(home: pathlib.Path, how: signal.Signals) -> None:
    with running(home) as server:
        worker = server.worker()
        with server.connect():  # an idle connection does not hold it up
            server.process.send_signal(how)
            assert server.wait_exit(20) == 0
        eventually("the worker ends too", lambda: not alive(worker))


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_asked_to_end_while_it_pulls(empty_home: pathlib.Path, how: signal.Signals, status: int) -> None:
    """An index that accepts and says nothing: the start would take minutes, but ends when it is asked to."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        server = harness.start_server(empty_home, wait=False,
                                      env={"PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple", "no_proxy": "127.0.0.1"})
        try:
            index.settimeout(patience(30))
            with index.accept()[0]:
                server.process.send_signal(how)
                assert server.wait_exit(10) == status
        finally:
            server.kill()


def test_a_second_server_on_the_same_port(server: Server, home: pathlib.Path) -> None:
    done = tacit("serve", "--port", str(server.port), "--model", MODEL, home=home, seconds=60)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert str(server.port) in done.stderr, done.stderr
    assert "in use" in done.stderr.lower(), done.stderr
    assert server.ask("Still there?", max_tokens=2)


def test_two_servers_on_one_home(home: pathlib.Path) -> None:
    """Two ports, one folder: both serve, and a key of one is a key of the other."""
    with running(home) as first, running(home) as second:
        assert first.ask("Hello", max_tokens=2) and second.ask("Hello", max_tokens=2)
        first.key, second.key = second.key, first.key
        assert first.ask("Hello", max_tokens=2) and second.ask("Hello", max_tokens=2)


# --- the client goes away ----------------------------------------------------------------------


def raw_stream(server: Server, **more) -> socket.socket:
    body = json.dumps(story(**more)).encode()
    connection = server.connect()
    connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_an_aborted_stream_frees_its_slot(server: Server) -> None:
    connection = raw_stream(server)
    connection.recv(4096)
    eventually("the stream runs", lambda: server.metric("vllm:num_requests_running") == 1)
    generated = server.metric("vllm:generation_tokens_total")
    connection.close()
    server.wait_idle()
    assert server.metric("vllm:generation_tokens_total") - generated < 600, "the rest was not generated for nobody"


def test_aborted_before_the_answer(server: Server) -> None:
    for _ in range(20):
        raw_stream(server, stream=False).close()
    server.wait_idle()
    assert server.ask("Hello", max_tokens=2)


def test_a_reset_is_an_abort(server: Server) -> None:
    connection = raw_stream(server)
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
    server.wait_idle()


def test_many_aborts_leave_nothing_behind(server: Server) -> None:
    def abort(number: int) -> None:
        with contextlib.suppress(OSError):
            connection = raw_stream(server, seed=number)
            connection.settimeout(patience(20))
            for _ in range(number % 5):
                connection.recv(512)
            connection.close()

    threads = [threading.Thread(target=abort, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.wait_idle(60)
    assert server.ask("Hello", max_tokens=2)


def test_a_reader_that_stalls_holds_up_nobody_else(server: Server) -> None:
    connections = [raw_stream(server, max_tokens=100, seed=n) for n in range(3)]
    try:
        started = time.monotonic()
        for _ in range(3):
            server.ask("Hello", max_tokens=8)
        assert time.monotonic() - started < patience(60)
        with server.http() as http:
            assert http.get("/health").status_code == 200
    finally:
        for connection in connections:
            connection.close()
    server.wait_idle()


def test_a_slow_reader_gets_everything(server: Server) -> None:
    connection = raw_stream(server, max_tokens=30)
    connection.settimeout(patience(30))
    received = b""
    while b"[DONE]" not in received:
        piece = connection.recv(200)
        assert piece, received[-200:]
        received += piece
        time.sleep(0.01)


# --- too much ----------------------------------------------------------------------------------


def test_a_prompt_beyond_the_context_names_both_numbers(server: Server) -> None:
    with server.http() as http:
        answer = http.post("/v1/chat/completions", json={"model": MODEL, "messages": [{"role": "user", "content": "word " * 200_000}]})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert is_openai_error(answer.json())
    assert error["code"] == "context_length_exceeded"
    numbers = sorted(int(n) for n in "".join(c if c.isdigit() else " " for c in error["message"]).split())
    assert len(numbers) >= 2 and numbers[-1] > 100_000, f"tokens and limit are both named: {error['message']}"
    assert any(512 <= n <= 65536 for n in numbers), error["message"]
    assert server.ask("Hello", max_tokens=2)


def test_a_prompt_beyond_the_context_while_streaming(server: Server) -> None:
    """Known before the first token, so it is a status and not an event of a stream that had begun."""
    with pytest.raises(openai.BadRequestError) as refused:
        list(server.client().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 200_000}], stream=True))
    assert refused.value.code == "context_length_exceeded"


def test_an_answer_ends_where_the_context_does(home: pathlib.Path) -> None:
    with running(home, "--context", "256") as server:
        answer = server.client().chat.completions.create(
            model=MODEL, messages=STORY, temperature=1.0, seed=3, extra_body={"ignore_eos": True}, max_tokens=100_000)
        assert answer.choices[0].finish_reason in ("length", "stop")
        assert answer.usage.total_tokens <= 256 + 1, "the last token needs no place: nothing follows it"


def test_more_requests_than_slots_wait_their_turn(server: Server) -> None:
    readers = [Reader(server, max_tokens=12, seed=n) for n in range(30)]
    for reader in readers:
        reader.finish(120)
        assert reader.status == 200 and "[DONE]" in reader.text, reader.text[-300:]
    server.wait_idle()


def test_a_thousand_connections_that_say_nothing(server: Server) -> None:
    silent = []
    try:
        for _ in range(800):
            silent.append(server.connect())
        assert server.ask("Hello", max_tokens=2)
    finally:
        for connection in silent:
            connection.close()


def test_out_of_descriptors_is_survived(home: pathlib.Path) -> None:
    import resource

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))

    with running(home, limits=few) as server:
        held = []
        with contextlib.suppress(OSError):
            for _ in range(150):
                connection = socket.create_connection(("127.0.0.1", server.port), timeout=1)
                held.append(connection)
        for connection in held:
            connection.close()
        assert server.process.poll() is None
        eventually("it serves again", lambda: server.ask("Hello", max_tokens=2))


@pytest.mark.parametrize("descriptors", [6, 16, 28])
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("run", MODEL, "hi"), ("pull", MODEL)], ids=lambda command: command[0])
def test_too_few_descriptors_to_start_name_the_limit(home: pathlib.Path, command: tuple[str, ...], descriptors: int) -> None:
    done = tacit(*command, home=home, wrapper=("prlimit", f"--nofile={descriptors}:{descriptors}"))
    assert done.returncode == 1, done
    assert "ulimit -n" in done.stderr and str(descriptors) in done.stderr, done.stderr


@pytest.mark.skipif(harness.SANITIZED, reason="sanitizers need all of the address space")
@pytest.mark.parametrize("mib", [100, 150])
def test_too_little_memory_to_load_says_so(home: pathlib.Path, mib: int) -> None:
    done = tacit("run", MODEL, "hi", home=home, wrapper=("prlimit", f"--as={mib << 20}"))
    assert done.returncode == 1, done
    assert "memory" in done.stderr.lower() and "log" not in done.stderr, done.stderr


def test_a_limit_on_file_sizes_is_an_error_in_words(empty_home: pathlib.Path) -> None:
    for command in (("key", "create"), ("serve", "--port", "0")):
        done = tacit(*command, home=empty_home, wrapper=("prlimit", "--fsize=1000"))
        assert done.returncode == 1, done
        assert "error:" in done.stderr, done.stderr


def test_closed_standard_streams_are_nobodys_socket(home: pathlib.Path) -> None:
    """Started with descriptors 0 to 2 closed, no client may get the log in its answer."""
    port = harness.free_port()
    process = subprocess.Popen(["bash", "-c", 'exec "$0" serve --port "$1" --no-auth 0<&- 1>&- 2>&-', harness.BIN, str(port)],
                               env=harness.clean_environment(home))
    try:
        def answer() -> bytes:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=patience(5)) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return connection.makefile("rb").read()
            return b""
        got = eventually("it serves", answer, 20)
        assert got.startswith(b"HTTP/1.1 200") and b"server.listening" not in got
        names = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)} if os.geteuid() == 0 else {"/dev/null"}
        assert names == {"/dev/null"}
    finally:
        process.terminate()
        assert process.wait(patience(20)) == 0


# --- the disk ----------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: pathlib.Path):
    """A file system of 4 MiB; needs the right to mount."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("SKIPPED: mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_pull_to_a_full_disk(tiny_disk: pathlib.Path) -> None:
    done = tacit("pull", MODEL, home=tiny_disk, seconds=60)
    assert done.returncode != 0
    assert "space" in done.stderr.lower(), done.stderr
    assert str(tiny_disk) in done.stderr, "which disk is full"


def test_serve_on_a_full_disk(tiny_disk: pathlib.Path, models: pathlib.Path) -> None:
    (tiny_disk / "models").symlink_to(models)
    with contextlib.suppress(OSError), open(tiny_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    done = tacit("serve", "--port", "0", home=tiny_disk, seconds=20)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT), "without room for its state it says so"
    assert "space" in done.stderr.lower() or "full" in done.stderr.lower(), done.stderr


def test_a_disk_that_fills_up_while_serving(tiny_disk: pathlib.Path, models: pathlib.Path) -> None:
    (tiny_disk / "models").symlink_to(models)
    server = harness.start_server(tiny_disk)
    try:
        with contextlib.suppress(OSError), open(tiny_disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 512)
        assert server.ask("Hello", max_tokens=4), "answers need no disk"
        assert server.stop() == 0
    finally:
        server.kill()


def test_a_home_that_cannot_be_written(empty_home: pathlib.Path) -> None:
    if os.geteuid() == 0:  # root may write anywhere: ask for a file where a folder is needed
        home = empty_home / "file"
        home.write_text("")
    else:
        empty_home.chmod(0o500)
        home = empty_home
    done = tacit("serve", "--port", "0", home=home, seconds=20)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert str(home) in done.stderr, done.stderr
    empty_home.chmod(0o700)


def test_state_that_is_no_database(home: pathlib.Path) -> None:
    (home / "state.db").write_bytes(b"this is no database, " * 1000)
    done = tacit("serve", "--port", "0", home=home, seconds=20)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert "state.db" in done.stderr, done.stderr


def test_state_survives_kill_9(home: pathlib.Path) -> None:
    key = harness.create_key(home)
    for _ in range(3):
        server = harness.start_server(home)
        server.key = key
        assert server.ask("Hello", max_tokens=2)
        server.process.kill()
        server.process.wait()


def test_read_response_helper_reads_what_a_server_sends() -> None:
    """The harness itself: a chunked answer in odd pieces."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
    assert read_response(ours) == (200, {"transfer-encoding": "chunked"}, b"abcde")
