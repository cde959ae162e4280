"""Canaries: what people say to models, and their keys, appear nowhere but in the answer to them.

Each test sends a unique word through the product and then looks for it, in clear and in the usual
encodings, in everything that is written: logs at their most talkative, metrics, error texts, every
file below TACIT_HOME and the working directory, and core dumps.
"""

import base64
import contextlib
import json
import os
import pathlib
import resource
import secrets
import signal
import sqlite3
import subprocess
import threading
import urllib.parse

import httpx
import pytest

import harness
from harness import MODEL, Server, children, eventually, patience, read_response, running, tacit


def new_canary() -> str:
    return "canary" + secrets.token_hex(12)


def disguises(canary: str) -> dict[str, bytes]:
    """The ways in which a text usually hides in a file."""
    raw = canary.encode()
    found = {"clear": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "utf-16": canary.encode("utf-16-le"),
             "reversed": raw[::-1], "upper": raw.upper()}
    for shift in range(3):  # base64 of a text that begins at any byte
        text = base64.b64encode(b"\0" * shift + raw)
        found[f"base64+{shift}"] = text[4 if shift else 0:-4]
        found[f"base64url+{shift}"] = found[f"base64+{shift}"].replace(b"+", b"-").replace(b"/", b"_")
    return found


def look_for(canary: str, where: str, data: bytes) -> None:
    for name, needle in disguises(canary).items():
        at = data.find(needle)
        assert at < 0, f"the canary ({name}) is in {where}: ...{data[max(0, at - 80):at + 80]!r}..."


def look_through(canary: str, *folders: pathlib.Path) -> int:
    """Every file below the folders, the weights excepted, which no request ever writes."""
    count = 0
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and "blobs" not in path.parts:
                look_for(canary, str(path), path.read_bytes())
                look_for(canary, "the name of " + str(path), os.fsencode(path))
                count += 1
    return count


def look_everywhere(canary: str, server: Server, workdir: pathlib.Path) -> None:
    look_for(canary, "the log", server.log().encode())
    look_for(canary, "/metrics", server.metrics_text().encode())
    assert look_through(canary, server.home, workdir) >= 1
    for pid in [server.pid, *server.workers()]:
        for name in ("cmdline", "environ", "comm"):
            with contextlib.suppress(OSError):
                look_for(canary, f"{name} of {pid}", pathlib.Path(f"/proc/{pid}/{name}").read_bytes())


def unlimited_cores() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


@pytest.fixture
def workdir(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "cwd"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(home: pathlib.Path, workdir: pathlib.Path):
    """A server at its most talkative, which may dump core into the working directory."""
    with running(home, "--log-level", "debug", cwd=workdir, limits=unlimited_cores) as server:
        yield server


def chat(server: Server, canary: str, **more) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 12, "messages": [{"role": "user", "content": f"Say {canary} please."}], **more}
    with server.http() as http:
        return http.post("/v1/chat/completions", json=body)


def test_canary_in_prompts(watched: Server, workdir: pathlib.Path) -> None:
    canary = new_canary()
    assert chat(watched, canary).status_code == 200
    assert chat(watched, canary, stream=True).status_code == 200
    assert chat(watched, canary, messages=[{"role": "system", "content": canary}, {"role": "user", "content": [{"type": "text", "text": canary}]},
                                           {"role": "assistant", "content": canary}, {"role": "user", "content": "go on"}]).status_code == 200
    assert chat(watched, canary, stop=[canary]).status_code == 200
    assert chat(watched, canary + " and " * 100_000).status_code == 400
    look_everywhere(canary, watched, workdir)


def test_answers_are_not_written(watched: Server, workdir: pathlib.Path) -> None:
    answer = watched.ask("Tell me about the moon.", max_tokens=60, temperature=0)
    assert len(answer) > 60
    for start in range(0, len(answer) - 40, 40):
        piece = answer[start:start + 40].encode()
        assert piece not in watched.log().encode() and piece not in watched.metrics_text().encode()
        for path in watched.home.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert piece not in path.read_bytes(), path


def test_canary_in_refused_requests(watched: Server, workdir: pathlib.Path) -> None:
    """An error may say what is wrong and where, never what was said."""
    canary = new_canary()
    good = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    bodies: list[bytes] = [
        f'{{"messages": [{{"role": "user", "content": "{canary}'.encode(),
        f'{{"messages": {canary}}}'.encode(),
        f"{canary}".encode(),
        f'{{"{canary}": '.encode(),
        b'{"messages":"\xff' + canary.encode() + b'"}',
        *(json.dumps({**good, **change}).encode() for change in (
            {"messages": canary}, {"messages": [canary]}, {"messages": [{"role": canary, "content": "x"}]}, {"temperature": canary},
            {"stop": {"x": canary}}, {"stream": canary}, {"seed": canary}, {"max_tokens": canary}, {"n": canary}, {"top_p": canary},
            {"messages": [{"role": "user", "content": {"x": canary}}]}, {"messages": [{"role": "user", "content": [{"type": canary}]}]},
            {"response_format": {"type": canary}}, {"tools": [{"type": canary, "function": {"name": canary}}]},
            {"tool_choice": canary}, {"stream_options": canary}, {"logit_bias": {canary: 1}}, {"modalities": [canary]})),
    ]
    with watched.http() as http:
        for body in bodies:
            answer = http.post("/v1/chat/completions", content=body)
            assert answer.status_code in (400, 422), (body[:60], answer.status_code)
            look_for(canary, f"the refusal of {body[:80]!r}", answer.content)
    look_everywhere(canary, watched, workdir)


def test_canary_in_unknown_fields(watched: Server, workdir: pathlib.Path) -> None:
    canary = new_canary()
    answer = chat(watched, "nothing", **{canary: canary, "user": canary, "metadata": {canary: canary}})
    assert answer.status_code == 200
    look_for(canary, "the answer", answer.content)
    look_everywhere(canary, watched, workdir)


def test_canary_in_addresses_and_headers(watched: Server, workdir: pathlib.Path) -> None:
    canary = new_canary()
    quoted = urllib.parse.quote(canary)
    with watched.http() as http:
        for path in (f"/{quoted}", f"/v1/models?prompt={quoted}", f"/health?{quoted}", f"/v1/chat/completions/{quoted}"):
            for method in ("GET", "POST", canary.upper()):
                answer = http.request(method, path, headers={"X-Prompt": canary, "User-Agent": canary, "Referer": canary, "Cookie": canary})
                look_for(canary, f"the answer to {method} {path}", answer.content)
    for bad in (f"GET /{canary} HTTP/9\r\n\r\n", f"{canary}\r\n\r\n", f"GET / HTTP/1.1\r\nHost: x\r\n{canary}\r\n\r\n",
                f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {canary}\r\n\r\n"):
        connection = watched.connect()
        connection.sendall(bad.encode())
        with contextlib.suppress(ConnectionError):
            look_for(canary, "a refusal", read_response(connection)[2])
    look_everywhere(canary, watched, workdir)


def test_canary_in_model_names(watched: Server, workdir: pathlib.Path) -> None:
    """A name that no model has is said back to the caller at most; it makes neither a metric nor a log line."""
    canary = new_canary()
    assert chat(watched, "nothing", model=canary).status_code == 404
    assert chat(watched, "nothing", model=canary * 100).status_code in (400, 404, 413)
    with watched.http() as http:
        assert http.get(f"/v1/models/{canary}").status_code == 404
    look_everywhere(canary, watched, workdir)


def test_keys_are_not_written(watched: Server, workdir: pathlib.Path) -> None:
    key = harness.create_key(watched.home, "written-nowhere")
    secret = key.removeprefix("tk-")
    watched.key, first = key, watched.key
    assert watched.ask("Hello", max_tokens=2)
    stranger = "tk-" + new_canary() + "x" * 20
    with watched.http(headers={"Authorization": "Bearer " + stranger}) as http:
        answer = http.get("/v1/models")
        assert answer.status_code == 401
        look_for(stranger[3:35], "the refusal", answer.content)
    look_everywhere(secret, watched, workdir)
    look_everywhere(stranger[3:33], watched, workdir)
    look_through(first.removeprefix("tk-"), watched.home)
    listed = tacit("key", "list", home=watched.home)
    assert "written-nowhere" in listed.stdout
    assert secret not in listed.stdout + listed.stderr


def test_the_key_is_shown_once(home: pathlib.Path) -> None:
    with running(home) as server:
        assert server.log().count(server.key) == 1
        assert not any(server.key in json.dumps(record) for record in server.records()), "shown to a person, not to a log collector"
        key = server.key
    again = harness.start_server(home, "--no-auth")
    try:
        assert key not in again.log() and not harness.first_key(again)
    finally:
        again.stop()


def test_a_revoked_key_opens_nothing(own_server: Server) -> None:
    key = harness.create_key(own_server.home, "short-lived")
    with own_server.http(headers={"Authorization": f"Bearer {key}"}) as http:
        assert http.get("/v1/models").status_code == 200
        lines = [line for line in tacit("key", "list", home=own_server.home).stdout.splitlines() if "short-lived" in line]
        assert len(lines) == 1
        revoked = tacit("key", "revoke", lines[0].split()[0], home=own_server.home)
        assert revoked.returncode == 0, revoked.stderr
        eventually("the running server refuses it", lambda: http.get("/v1/models").status_code == 401)


def test_secrets_are_the_owners_alone(watched: Server) -> None:
    for path in watched.home.rglob("*"):
        if path.is_symlink() or "models" in path.relative_to(watched.home).parts:
            continue
        assert path.stat().st_mode & 0o077 == 0 or path.is_dir(), f"others may read {path.name}"
    assert watched.home.stat().st_mode & 0o022 == 0


def test_state_holds_no_content(watched: Server) -> None:
    canary = new_canary()
    chat(watched, canary)
    for path in watched.home.glob("*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            for (statement,) in database.execute("select sql from sqlite_master where sql is not null"):
                assert "prompt" not in statement.lower() and "content" not in statement.lower(), statement
            look_for(canary, str(path), "\n".join(database.iterdump()).encode())


# --- core dumps -------------------------------------------------------------------------------


def core_files(*folders: pathlib.Path) -> list[pathlib.Path]:
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("/"):
        folders = (*folders, pathlib.Path(pattern).parent)
    return [path for folder in folders for path in folder.glob("*core*") if path.is_file()]


def needs_core_dumps(workdir: pathlib.Path) -> None:
    """Shows first that this machine would write a core here, so that its absence means something."""
    if pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("SKIPPED: core dumps go to a program here (kernel.core_pattern), so their absence cannot be seen")
    child = os.fork()
    if child == 0:
        os.chdir(workdir)
        unlimited_cores()
        os.kill(os.getpid(), signal.SIGSEGV)
    _, status = os.waitpid(child, 0)
    found = core_files(workdir)
    if not os.WCOREDUMP(status) or not found:
        pytest.skip("SKIPPED: this machine writes no core dumps at all")
    for path in found:
        path.unlink()


@pytest.mark.parametrize(("who", "how"), [("worker", signal.SIGSEGV), ("worker", signal.SIGABRT), ("server", signal.SIGSEGV),
                                          ("server", signal.SIGABRT), ("server", signal.SIGQUIT)])  # a worker ignores SIGQUIT
def test_no_core_dump_with_a_prompt(home: pathlib.Path, workdir: pathlib.Path, who: str, how: signal.Signals) -> None:
    needs_core_dumps(workdir)
    canary = new_canary()
    server = harness.start_server(home, cwd=workdir, limits=unlimited_cores)
    try:
        before = set(core_files(workdir, home))
        victim = server.worker() if who == "worker" else server.pid
        started = threading.Event()

        def stream() -> None:
            body = {"model": MODEL, "max_tokens": 400, "stream": True, "messages": [{"role": "user", "content": f"{canary}: tell a long story"}]}
            with contextlib.suppress(httpx.HTTPError), server.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as answer:
                for _ in answer.iter_text():
                    started.set()
            started.set()

        thread = threading.Thread(target=stream)
        thread.start()
        assert started.wait(patience(30))
        os.kill(victim, how)
        thread.join(patience(30))
        eventually("the victim ends", lambda: not harness.alive(victim))
        for path in set(core_files(workdir, home)) - before:
            look_for(canary, str(path), path.read_bytes())
            pytest.fail(f"a core dump was written: {path}")
    finally:
        server.kill()


# --- tacit run --------------------------------------------------------------------------------


def test_run_leaves_no_trace(home: pathlib.Path, workdir: pathlib.Path) -> None:
    canary = new_canary()
    done = tacit("run", MODEL, f"Say {canary}.", home=home, cwd=workdir)
    assert done.returncode == 0, done.stderr
    look_for(canary, "standard error", done.stderr.encode())
    look_through(canary, home, workdir)
    done = tacit("run", MODEL, home=home, cwd=workdir, stdin=f"Say {canary}.")
    assert done.returncode == 0, done.stderr
    look_for(canary, "standard error", done.stderr.encode())
    look_through(canary, home, workdir)


def test_the_worker_of_run_does_not_carry_the_prompt_in_its_command_line(home: pathlib.Path) -> None:
    canary = new_canary()
    process = subprocess.Popen([harness.BIN, "run", *harness.THREADS, MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=harness.clean_environment(home))
    process.stdin.write(f"{canary}: tell a very long story".encode())
    process.stdin.close()
    process.stdout.read(1)
    for pid in [process.pid, *children(process.pid)]:
        with contextlib.suppress(OSError):
            look_for(canary, f"the command line of {pid}", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
            look_for(canary, f"the environment of {pid}", pathlib.Path(f"/proc/{pid}/environ").read_bytes())
    process.kill()
    process.stdout.close()
    process.stderr.close()
    process.wait()


# --- the test of the test ---------------------------------------------------------------------


def test_the_search_finds_disguised_canaries() -> None:
    canary = new_canary()
    for shift in range(3):
        for data in (canary.encode(), canary.encode().hex().encode(), base64.b64encode(b"abc"[:shift] + canary.encode() + b"tail"),
                     canary.encode("utf-16-le")):
            with pytest.raises(AssertionError):
                look_for(canary, "a haystack", b"some" + data + b"more")
    look_for(canary, "a haystack", new_canary().encode())


def memory_holds(pid: int, needle: bytes) -> list[str]:
    """The writable mappings of a process in which the bytes stand."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            addresses, rights, *rest = line.split()
            if not rights.startswith("rw") or rest[-1] in ("[vvar]", "[vsyscall]"):
                continue
            start, end = (int(part, 16) for part in addresses.split("-"))
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(start)
                if needle in memory.read(end - start):
                    found.append(line.strip())
    return found


@pytest.mark.skipif(harness.SANITIZED, reason="sanitizers keep freed memory on purpose")
def test_nothing_of_a_request_stays_in_memory(server: Server) -> None:
    """Once idle, no process holds the prompt any more: neither the front, nor the worker, nor the client's end.
    Stacks are looked at, too, after other requests have used them."""
    needle = "CANARY" + secrets.token_hex(8)
    with server.http() as http:
        for text in (f"Say hi. {needle}", "Say hi.", "Name a colour."):
            answer = http.post("/v1/chat/completions", json={
                "model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 8})
            assert answer.status_code == 200, answer.text
    processes = {"server": server.pid, "worker": server.worker()}
    if server.tunnel is not None:
        processes["connect"] = server.tunnel.pid
    holders = {name: memory_holds(pid, needle.encode()) for name, pid in processes.items()}
    assert not any(holders.values()), holders
    # The test can fail: the canary is found where it does stay.
    kept = needle.encode()
    assert memory_holds(os.getpid(), kept)
