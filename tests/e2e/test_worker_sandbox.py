"""The worker seen from outside: which walls the kernel says stand around it, and what it was given."""

import os
import pathlib
import socket
import subprocess

import pytest

from harness import BIN, Server, children, clean_environment, patience


def status_of(pid: int) -> dict[str, str]:
    rows = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (row.partition(":") for row in rows)}


def test_the_worker_cannot_gain_privileges(server: Server) -> None:
    assert status_of(server.worker())["NoNewPrivs"] == "1"


def test_a_filter_guards_every_thread_of_the_worker(server: Server) -> None:
    worker = server.worker()
    for thread in pathlib.Path(f"/proc/{worker}/task").iterdir():
        rows = dict(row.partition(":")[::2] for row in (thread / "status").read_text().splitlines())
        assert rows["Seccomp"].strip() == "2", f"thread {thread.name} runs without a filter"
        assert rows["NoNewPrivs"].strip() == "1"


def test_the_worker_cannot_dump_core(server: Server) -> None:
    limits = pathlib.Path(f"/proc/{server.worker()}/limits").read_text()
    row = next(row for row in limits.splitlines() if row.startswith("Max core file size"))
    assert row.split()[4:6] == ["0", "0"], row


def test_the_worker_holds_only_what_it_was_given(server: Server, weights: pathlib.Path) -> None:
    """Sockets to its parent, the weights read-only, and the standard streams; nothing else of the server's."""
    server.ask("Hello", max_tokens=2)
    worker = server.worker()
    try:
        entries = list(pathlib.Path(f"/proc/{worker}/fd").iterdir())
    except PermissionError:
        pytest.skip("SKIPPED: the worker is not dumpable, so only root may look at its descriptors")
    seen_weights = False
    for entry in entries:
        number, target = int(entry.name), os.readlink(entry)
        flags = int(pathlib.Path(f"/proc/{worker}/fdinfo/{number}").read_text().split("flags:")[1].split()[0], 8)
        if number <= 2:
            continue
        if target.startswith("/"):
            assert os.path.samefile(target, weights) or "blobs" in target, f"the worker holds {target}"
            assert flags & os.O_ACCMODE == os.O_RDONLY, f"{target} is open for writing"
            seen_weights = True
        else:
            assert target.startswith(("socket:", "anon_inode:", "pipe:")), f"the worker holds {target}"
    assert seen_weights or "blobs" in pathlib.Path(f"/proc/{worker}/maps").read_text()
    assert "state.db" not in " ".join(os.readlink(e) for e in entries)


def test_the_worker_has_no_network_sockets(server: Server) -> None:
    worker = server.worker()
    try:
        inodes = {os.readlink(e)[8:-1] for e in pathlib.Path(f"/proc/{worker}/fd").iterdir() if os.readlink(e).startswith("socket:")}
    except PermissionError:
        pytest.skip("SKIPPED: the worker is not dumpable, so only root may look at its descriptors")
    for table in ("tcp", "tcp6", "udp", "udp6", "raw"):
        for row in pathlib.Path(f"/proc/{server.pid}/net/{table}").read_text().splitlines()[1:]:
            assert row.split()[9] not in inodes, f"the worker holds a {table} socket: {row}"


def test_the_worker_has_an_empty_environment(server: Server) -> None:
    try:
        environment = pathlib.Path(f"/proc/{server.worker()}/environ").read_bytes()
    except PermissionError:
        pytest.skip("SKIPPED: the worker is not dumpable, so only root may look at its environment")
    names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
    assert not names & {"HOME", "TACIT_HOME", "PATH", "SSH_AUTH_SOCK", "http_proxy", "HTTPS_PROXY"}, names


def test_the_front_never_maps_the_weights(server: Server, weights: pathlib.Path) -> None:
    """The process with the network and the keys does not touch what a model file controls."""
    server.ask("Hello", max_tokens=2)
    try:
        maps = pathlib.Path(f"/proc/{server.pid}/maps").read_text()
    except PermissionError:
        pytest.skip("SKIPPED: the server is not dumpable, so only root may look at its memory map")
    assert weights.name not in maps


def test_the_worker_starts_nothing(server: Server) -> None:
    assert children(server.worker()) == []


def test_the_log_says_which_walls_stand(server: Server) -> None:
    assert "landlock" in server.log().lower() and "seccomp" in server.log().lower()


ATTEMPTS = ("socket", "connect", "open for reading", "write a file", "execve", "fork", "ptrace parent")


def test_the_self_test_is_denied_everything(home: pathlib.Path, weights: pathlib.Path) -> None:
    """The worker, with a real model inside its real sandbox, tries to open sockets and files, to write,
    to execute, to trace its parent... and reports how each attempt ended."""
    control, control_of_worker = socket.socketpair()
    data, data_of_worker = socket.socketpair()
    script = 'exec "$0" worker --shards 1 --sandbox-selftest 3<"$1" 4<&"$2" 5<&"$3"'
    handed = (control_of_worker.fileno(), data_of_worker.fileno())
    with control, data, control_of_worker, data_of_worker:
        done = subprocess.run(["bash", "-c", script, BIN, str(weights), *map(str, handed)], pass_fds=handed, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=patience(60),
                              env=clean_environment(home, ASAN_OPTIONS="detect_leaks=0"))  # which is a ptrace, and denied, too
    print(done.stdout, done.stderr)
    outcomes = {line[:18].strip(): line[18:].strip() for line in done.stdout.splitlines()}
    for attempt in ATTEMPTS:
        assert outcomes[attempt].startswith("denied"), f"{attempt}: {outcomes[attempt]}"
    assert "ESCAPED" not in done.stdout, done.stdout
    assert done.returncode == 0


def test_the_worker_reads_no_terminal(server: Server) -> None:
    try:
        assert os.readlink(f"/proc/{server.worker()}/fd/0") == "/dev/null"
    except PermissionError:
        pytest.skip("SKIPPED: the worker is not dumpable, so only root may look at its descriptors")
    except FileNotFoundError:
        pass  # closed: better still
