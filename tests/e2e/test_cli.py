"""The command line as a person uses it: right, wrong, on a terminal, in a pipe, and interrupted."""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

import pytest

import harness
from harness import BIN, MODEL, eventually, patience, tacit
from terminal import ESCAPES, Terminal

COMMANDS = ("serve", "attest", "run", "pull", "list", "show", "rm", "gc", "import", "export", "config", "completion", "key", "doctor", "version")
CRASHES = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, 134, 139)


def refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """A refusal: non-zero, no crash, on standard error, in words, without a stack of C++."""
    assert done.returncode != 0 and done.returncode not in CRASHES, (done.returncode, done.stderr)
    assert done.stdout == "", f"refusals go to standard error: {done.stdout!r}"
    text = done.stderr.lower()
    for word in words:
        assert word.lower() in text, f"no '{word}' in: {done.stderr}"
    assert "terminate called" not in text and "std::" not in text and "exception" not in text, done.stderr


# --- help and flags ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(empty_home: pathlib.Path, command: str) -> None:
    done = tacit(command, "--help", home=empty_home)
    assert done.returncode == 0
    assert "example" in done.stdout.lower() and f"tacit {command}" in done.stdout, done.stdout
    assert done.stderr == ""


def test_help_of_the_whole(empty_home: pathlib.Path) -> None:
    for arguments in (("--help",), ("-h",), ("help",)):
        done = tacit(*arguments, home=empty_home)
        if arguments == ("help",) and done.returncode != 0:
            continue
        assert done.returncode == 0
        for command in COMMANDS:
            assert command in done.stdout
        assert "worker" not in done.stdout.split(), "the inner command is not for people"


@pytest.mark.parametrize("arguments", [
    (), ("nonsense",), ("serve", "--nonsense"), ("serve", "--port", "99999"), ("serve", "--port", "-1"), ("serve", "--port", "http"), ("serve", "--port"),
    ("serve", "--host", "not an address"), ("serve", "--drain-timeout", "soon"), ("serve", "--log-format", "xml"), ("serve", "--log-level", "loud"),
    ("serve", "--context", "-5"), ("serve", "--context", "99999999999999999999"), ("serve", "--parallel", "0x"), ("serve", "--threads", "many"),
    ("serve", "--threads", "100000"), ("serve", "--io-threads", "100000"), ("serve", "--parallel", "100000"), ("serve", "--max-connections", "0"),
    ("serve", "--max-body-bytes", "0"), ("serve", "--max-head-bytes", "1"), ("serve", "--max-headers", "0"), ("run", MODEL, "--max-tokens", "0"),
    ("serve", "--unix", "/no/such/folder/tacit.sock"), ("run", MODEL, "--threads", "100000"),
    ("run",), ("pull",), ("key",), ("key", "nonsense"), ("key", "revoke"), ("version", "extra"), ("list", "--jsonx")], ids=" ".join)
def test_bad_arguments(empty_home: pathlib.Path, arguments: tuple[str, ...]) -> None:
    done = tacit(*arguments, home=empty_home, seconds=20)
    assert done.returncode != 0 and done.returncode not in CRASHES, done
    text = done.stderr + done.stdout
    assert "terminate called" not in text and "std::" not in text
    assert done.stderr.strip(), "it says what is wrong, on standard error"
    assert "help" in text.lower() or "usage" in text.lower() or len(done.stderr) > 20


def test_bad_flags_are_named(empty_home: pathlib.Path) -> None:
    assert "--nonsense" in tacit("serve", "--nonsense", home=empty_home).stderr
    assert "port" in tacit("serve", "--port", "99999", home=empty_home).stderr


def test_version(empty_home: pathlib.Path) -> None:
    done = tacit("version", home=empty_home)
    assert done.returncode == 0 and "tacit" in done.stdout.lower()
    facts = json.loads(tacit("version", "--json", home=empty_home).stdout)
    assert facts["tacit"].count(".") == 2
    assert tacit("--version", home=empty_home).returncode == 0


def test_version_and_list_are_quick(home: pathlib.Path) -> None:
    """The limit is generous here; the benchmark measures. What it catches is loading what is not needed."""
    for command in ("version", "list"):
        tacit(command, home=home)
        times = []
        for _ in range(5):
            started = time.monotonic()
            assert tacit(command, home=home).returncode == 0
            times.append(time.monotonic() - started)
        assert min(times) < patience(0.25), times


def test_list(home: pathlib.Path, empty_home: pathlib.Path) -> None:
    done = tacit("list", home=home)
    assert done.returncode == 0 and MODEL in done.stdout
    rows = json.loads(tacit("list", "--json", home=home).stdout)
    rows = rows["models"] if isinstance(rows, dict) else rows
    assert [row for row in rows if row["name"] == MODEL]
    assert tacit("list", home=empty_home).returncode == 0
    json.loads(tacit("list", "--json", home=empty_home).stdout)


def test_doctor(home: pathlib.Path) -> None:
    done = tacit("doctor", home=home)
    assert done.returncode in (0, 1) and done.stdout
    assert "landlock" in done.stdout.lower() and "seccomp" in done.stdout.lower()
    json.loads(tacit("doctor", "--json", home=home).stdout)


def test_keys(empty_home: pathlib.Path) -> None:
    key = harness.create_key(empty_home, "mine")
    other = harness.create_key(empty_home, "yours")
    assert key != other and len(key) > 30
    listed = tacit("key", "list", home=empty_home)
    assert "mine" in listed.stdout and "yours" in listed.stdout
    refused(tacit("key", "revoke", "no-such-key", home=empty_home), "key list")


# --- what is refused, and how -----------------------------------------------------------------


def test_unknown_model(home: pathlib.Path) -> None:
    refused(tacit("run", "smollm3:135m", "hi", home=home), "smollm3:135m", MODEL)
    refused(tacit("pull", "no-such-model", home=home), "no-such-model")
    refused(tacit("serve", "--port", "0", "--model", "no-such-model", home=home), "no-such-model")


@pytest.mark.parametrize("stdin", [b"", b"hi"])
def test_a_prompt_where_the_model_belongs(empty_home: pathlib.Path, stdin: bytes) -> None:
    done = tacit("run", "Name three colours.", home=empty_home, stdin=stdin)
    refused(done, "no such model", "name three colours.", 'tacit run smollm2 "')
    assert "empty" not in done.stderr


def test_an_unknown_model_is_refused_before_the_prompt_is_read(empty_home: pathlib.Path) -> None:
    with subprocess.Popen([BIN, "run", "no-such-model"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=harness.clean_environment(empty_home)) as process:
        try:  # its standard input stays open, and says nothing
            assert process.wait(patience(20)) == 1
            assert b"no such model" in process.stderr.read()
        finally:
            process.kill()


def test_beyond_loopback_only_in_words(home: pathlib.Path) -> None:
    """Listening to others without TLS, or without keys, has to be said in words."""
    refused(tacit("serve", "--host", "0.0.0.0", "--port", "0", home=home, seconds=20), "tls", "--insecure-plain-http")
    refused(tacit("serve", "--host", "0.0.0.0", "--port", "0", "--no-auth", home=home, seconds=20), "--insecure-plain-http")
    refused(tacit("serve", "--host", "::", "--port", "0", home=home, seconds=20), "tls")


def test_beyond_loopback_in_words(home: pathlib.Path) -> None:
    with harness.running(home, "--insecure-plain-http", listen=("--host", "0.0.0.0", "--port", "0"), model=None) as server:
        assert server.url


def test_half_a_tls_pair(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("x")
    refused(tacit("serve", "--port", "0", "--tls-cert", str(file), home=home, seconds=20), "tls-key")


def test_no_color_and_no_terminal(home: pathlib.Path) -> None:
    for arguments in (("list",), ("doctor",), ("version",), ("--help",), ("run", "no-such-model", "hi")):
        done = tacit(*arguments, home=home)
        assert "\x1b" not in done.stdout + done.stderr, f"no escapes without a terminal: {arguments}"
    for arguments in (["list"], ["doctor"], ["run", "no-such-model", "hi"]):
        with Terminal([BIN, *arguments], harness.clean_environment(home, NO_COLOR="1")) as terminal:
            terminal.wait()
            colours = [m.group(0) for m in ESCAPES.finditer(terminal.output) if m.group(0).endswith("m")]
            assert not colours, f"NO_COLOR is kept: {arguments} {colours}"


def test_a_closed_pipe_is_no_crash(home: pathlib.Path) -> None:
    """tacit run ... | head -c 1"""
    reader, writer = os.pipe()
    process = subprocess.Popen([BIN, "run", *harness.THREADS, MODEL, "Tell me a long story."], stdout=writer, stderr=subprocess.PIPE, env=harness.clean_environment(home))
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    error = process.communicate(timeout=patience(60))[1].decode()
    assert process.returncode not in CRASHES, error
    assert "terminate called" not in error


# --- tacit run --------------------------------------------------------------------------------


def test_run_with_an_argument(home: pathlib.Path) -> None:
    done = tacit("run", MODEL, "Name three colours.", home=home)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 2 and done.stdout.endswith("\n")
    assert "<|im_" not in done.stdout


def test_run_with_standard_input(home: pathlib.Path) -> None:
    done = tacit("run", MODEL, home=home, stdin="Name three colours.\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 2
    assert "\x1b" not in done.stdout


def test_run_says_what_cut_the_answer(home: pathlib.Path) -> None:
    done = tacit("run", MODEL, "--max-tokens", "5", "Tell me a long story.", home=home, bounded=False)
    assert done.returncode == 0 and "stopped after 5 tokens" in done.stderr, done.stderr
    done = tacit("run", MODEL, "--context", "64", "--temperature", "0", "Tell me a long story.", home=home, bounded=False)
    assert done.returncode == 0 and "--context" in done.stderr, done.stderr


def test_run_does_not_let_the_model_repeat_itself(home: pathlib.Path) -> None:
    """This question sends the starter model into a loop with most seeds."""
    stopped = 0
    for seed in range(8):
        done = tacit("run", MODEL, "--seed", str(seed), "What is the capital of France?", home=home, bounded=False)
        assert done.returncode == 0, done.stderr
        stopped += "repeats itself" in done.stderr
        assert len(done.stdout) < 6000, "an endless answer"
    assert stopped > 0, "no seed fell into a loop: this test needs another question"


def test_run_by_alias(home: pathlib.Path) -> None:
    assert tacit("run", "smollm2", "hi", home=home).returncode == 0


@pytest.mark.parametrize("stdin", [b"", b"\xff\xfe\xfd", b"hello\0world", "🦊".encode() * 50], ids=repr)
def test_run_with_odd_input(home: pathlib.Path, stdin: bytes) -> None:
    done = tacit("run", MODEL, home=home, stdin=stdin)
    assert done.returncode not in CRASHES, done.stderr
    if done.returncode:
        refused(done)


def test_run_with_too_much(home: pathlib.Path) -> None:
    done = tacit("run", MODEL, home=home, stdin="word " * 100_000)
    refused(done, "context")
    assert any(c.isdigit() for c in done.stderr)


def test_run_a_file(home: pathlib.Path, weights: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine.gguf"
    file.symlink_to(weights)
    done = tacit("run", str(file), "Name three colours.", home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_run_leaves_no_process_behind(home: pathlib.Path) -> None:
    process = subprocess.Popen([BIN, "run", *harness.THREADS, MODEL, "Tell me a long story."], stdout=subprocess.PIPE, env=harness.clean_environment(home))
    process.stdout.read(1)
    inner = harness.children(process.pid)
    assert inner, "the model lives in a worker of its own"
    process.kill()
    process.wait()
    process.stdout.close()
    eventually("its worker ends too", lambda: not any(harness.alive(pid) for pid in inner))


def test_offline_once_pulled(home: pathlib.Path) -> None:
    """Nothing but loopback exists, and it still answers."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("SKIPPED: this machine lets nobody make a network namespace")
    done = tacit("run", MODEL, "Name three colours.", home=home, wrapper=("unshare", "-rn"))
    assert done.returncode == 0, done.stderr
    done = tacit("pull", MODEL, home=home, wrapper=("unshare", "-rn"))
    assert done.returncode == 0, done.stderr


def test_pull_without_a_network_says_so(empty_home: pathlib.Path) -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("SKIPPED: this machine lets nobody make a network namespace")
    refused(tacit("pull", MODEL, home=empty_home, wrapper=("unshare", "-rn"), seconds=60), MODEL.partition(":")[0])


def test_pull_is_idempotent(home: pathlib.Path) -> None:
    done = tacit("pull", MODEL, home=home)
    assert done.returncode == 0, done.stderr
    for line in tacit("pull", MODEL, "--json", home=home).stdout.splitlines():
        json.loads(line)


def test_damaged_weights_in_the_store_are_refused(tmp_path: pathlib.Path, weights: pathlib.Path, models: pathlib.Path) -> None:
    """One bit of an installed model is flipped: the digest says so before the engine sees a byte."""
    home = tmp_path / "home"
    copy = home / "models"
    (copy / "blobs" / "sha256").mkdir(parents=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(models) + "/.", str(copy)], check=True)
    blob = copy / "blobs" / "sha256" / weights.name
    blob.chmod(0o644)
    with open(blob, "r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    refused(tacit("run", MODEL, "hi", home=home), MODEL, "verified")
    with harness.running(home, model=None) as server, server.http() as http:
        answer = http.post("/v1/chat/completions", json={"model": MODEL, "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 404 or answer.status_code >= 500, "once found out, it is no model any more"
        assert harness.is_openai_error(answer.json())


# --- files that are no good -------------------------------------------------------------------


def gguf(version: int = 3, tensors: int = 0, pairs: int = 0, tail: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + tail


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


EVIL = {
    "empty": (b"", "empty|too short|not a gguf"),
    "text": (b"hello, I am no model\n" * 100, "not a gguf"),
    "zip": (b"PK\x03\x04" + b"\0" * 1000, "not a gguf"),
    "pickle": (b"\x80\x04\x95" + b"\0" * 1000, "not a gguf"),
    "magic only": (b"GGUF", "gguf"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + b"\0" * 100, "endian|version"),
    "version 1": (gguf(1) + b"\0" * 100, "version"),
    "version 99": (gguf(99) + b"\0" * 100, "version"),
    "a quintillion tensors": (gguf(tensors=10**18) + b"\0" * 100, "tensor"),
    "a quintillion pairs": (gguf(pairs=10**18) + b"\0" * 100, "metadata|pairs"),
    "key of 2^63 bytes": (gguf(pairs=1, tail=struct.pack("<Q", 2**63) + b"a" * 100), "key|past|end"),
    "string of 2^62 bytes": (gguf(pairs=1, tail=text("general.name") + struct.pack("<IQ", 8, 2**62) + b"a" * 50), "string|past|end"),
    "array of 2^61": (gguf(pairs=1, tail=text("a.b") + struct.pack("<IIQ", 9, 4, 2**61) + b"a" * 50), "array"),
    "arrays in arrays": (gguf(pairs=1, tail=text("a.b") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1000 + b"\0" * 50), "array|nested|deep"),
    "unknown value type": (gguf(pairs=1, tail=text("a.b") + struct.pack("<I", 77) + b"\0" * 50), "type"),
    "tensor of 2^62 by 4": (gguf(tensors=1, tail=text("t") + struct.pack("<IQQIQ", 2, 2**62, 4, 0, 0) + b"\0" * 64), "tensor|overflow|large|past"),
    "tensor past the end": (gguf(tensors=1, tail=text("t") + struct.pack("<IQIQ", 1, 1024, 0, 0) + b"\0" * 64), "tensor|end"),
    "tensor offset of 2^63": (gguf(tensors=1, tail=text("t") + struct.pack("<IQIQ", 1, 4, 0, 2**63) + b"\0" * 64), "tensor|offset|end"),
    "tensor with 200 dimensions": (gguf(tensors=1, tail=text("t") + struct.pack("<I", 200) + b"\1" * 2000), "dimension"),
    "nothing inside": (gguf() + b"\0" * 100, "tensor|architecture|model"),
}


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("way", ["run", "serve"])
def test_evil_files(empty_home: pathlib.Path, tmp_path: pathlib.Path, name: str, way: str) -> None:
    data, expected = EVIL[name]
    file = tmp_path / "evil.gguf"
    file.write_bytes(data)
    arguments = ("run", str(file), "hi") if way == "run" else ("serve", "--port", "0", "--model", str(file))
    done = tacit(*arguments, home=empty_home, seconds=30)
    refused(done, "evil.gguf")
    message = done.stderr.lower()
    assert any(word in message for word in expected.split("|")), f"it names what is wrong ({expected}): {done.stderr}"


@pytest.mark.parametrize("keep", [3, 11, 100, 5000, 1_000_000, 50_000_000, harness.MODEL_BYTES - 1])
def test_truncated_files(empty_home: pathlib.Path, tmp_path: pathlib.Path, weights: pathlib.Path, keep: int) -> None:
    file = tmp_path / "short.gguf"
    with open(weights, "rb") as whole:
        file.write_bytes(whole.read(keep))
    refused(tacit("run", str(file), "hi", home=empty_home), "short.gguf")


@pytest.mark.parametrize("seed", range(12))
def test_flipped_headers_never_crash_the_front(empty_home: pathlib.Path, tmp_path: pathlib.Path, weights: pathlib.Path, seed: int) -> None:
    """Bits of the header are flipped at random. Either our reader refuses the file, or the engine does
    inside its sandbox, or the model still speaks; the program itself never crashes or hangs."""
    import random
    dice = random.Random(seed)
    file = tmp_path / "flipped.gguf"
    subprocess.run(["cp", "--reflink=auto", str(weights), str(file)], check=True)
    file.chmod(0o644)
    with open(file, "r+b") as damaged:
        for _ in range(1 + seed % 4):
            at = dice.randrange(0, 24 if seed < 4 else 3000 if seed < 8 else 1_700_000)
            damaged.seek(at)
            byte = damaged.read(1)[0]
            damaged.seek(at)
            damaged.write(bytes([byte ^ (1 << dice.randrange(8))]))
    done = tacit("run", str(file), "Say hi.", home=empty_home, seconds=120)
    if done.returncode != 0:
        refused(done)


@pytest.mark.parametrize("what", ["folder", "fifo", "device", "missing", "unreadable"])
def test_things_that_are_no_file(empty_home: pathlib.Path, tmp_path: pathlib.Path, what: str) -> None:
    path = tmp_path / "thing.gguf"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "unreadable":
        path.write_bytes(b"GGUF")
        path.chmod(0)
    refused(tacit("run", str(path), "hi", home=empty_home, seconds=30), "thing.gguf")


# --- on a terminal ----------------------------------------------------------------------------


def terminal_run(home: pathlib.Path, *arguments: str) -> Terminal:
    return Terminal([BIN, "run", *harness.THREADS, MODEL, *arguments], harness.clean_environment(home))


def answered(terminal: Terminal, size: int) -> None:
    """Waits until `size` more characters than the prompt's echo are on the screen."""
    before = len(terminal.plain)
    terminal.wait_for("an answer", lambda plain: len(plain) >= before + size)


def test_chat_on_a_terminal(home: pathlib.Path) -> None:
    with terminal_run(home) as terminal:
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.send("Name three colours.\n")
        answered(terminal, 40)
        terminal.wait_for("the next prompt", lambda plain: plain.rstrip(" ").endswith(">") or plain.count(">>>") >= 2)
        terminal.send("\x04")  # Ctrl-D
        assert terminal.wait() == 0


def test_chat_commands(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "talk"
    with terminal_run(home) as terminal:
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.send('"""Name three\n')
        terminal.wait_for("more lines", lambda plain: "... " in plain)
        terminal.send('colours."""\n')
        answered(terminal, 40)
        for line, words in (("/set temperature 9", "/set takes"), ("/set temperature 0", "From the next answer on"), (f"/save {file}", "Saved: 2 messages"),
                            ("/system Be brief.", "begins anew"), (f"/load {file}", "Loaded: 2 messages"), ("/load /no/such", "error"),
                            ("/nonsense", "Unknown command"), ("/help", "/system TEXT")):
            terminal.send(line + "\n")
            terminal.wait_for(line, lambda plain, words=words: words in plain)
        terminal.send("/bye\n")
        assert terminal.wait() == 0
    assert file.read_text().startswith("tacit-chat 1\nuser 19\nName three\ncolours.\n") and file.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on(home: pathlib.Path) -> None:
    with terminal_run(home) as terminal:
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.send("Tell me a very long story about a fox, with many chapters.\n")
        answered(terminal, 120)
        terminal.interrupt()
        quiet_after = len(terminal.plain)
        terminal.wait_for("the prompt again", lambda plain: ">" in plain[quiet_after:])
        terminal.send("Say hi.\n")
        answered(terminal, 10)
        terminal.send("\x04")
        assert terminal.wait(60) == 0


def test_ctrl_c_twice_ends_the_program(home: pathlib.Path) -> None:
    with terminal_run(home) as terminal:
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.send("Tell me a very long story about a fox, with many chapters.\n")
        answered(terminal, 120)
        terminal.interrupt()
        time.sleep(0.2)
        terminal.interrupt()
        assert terminal.wait() == 130


def test_ctrl_c_at_the_prompt(home: pathlib.Path) -> None:
    with terminal_run(home) as terminal:
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.interrupt()
        time.sleep(0.3)
        terminal.pump(0.2)
        terminal.interrupt()
        assert terminal.wait() == 130


def test_ctrl_c_with_a_prompt_as_argument(home: pathlib.Path) -> None:
    with terminal_run(home, "Tell me a very long story about a fox, with many chapters.") as terminal:
        answered(terminal, 120)
        terminal.interrupt()
        time.sleep(0.2)
        try:
            terminal.interrupt()
        except OSError:
            pass  # it has ended already
        assert terminal.wait() == 130


def test_sigint_in_a_script(home: pathlib.Path) -> None:
    process = subprocess.Popen([BIN, "run", *harness.THREADS, MODEL, "Tell me a very long story about a fox."], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=harness.clean_environment(home))
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=patience(30))
    assert process.returncode in (130, -signal.SIGINT)


def test_the_terminal_is_left_as_it_was(home: pathlib.Path) -> None:
    import termios
    with terminal_run(home) as terminal:
        before = termios.tcgetattr(terminal.fd)[3]
        terminal.wait_for("a prompt", lambda plain: ">" in plain)
        terminal.send("Tell me a very long story about a fox, with many chapters.\n")
        answered(terminal, 60)
        terminal.interrupt()
        time.sleep(0.2)  # signals of one kind that wait together are one
        terminal.interrupt()
        terminal.wait()
        assert termios.tcgetattr(terminal.fd)[3] == before


# --- settings, completions, the manual ------------------------------------------------------------


def test_settings_have_one_table(empty_home: pathlib.Path) -> None:
    table = json.loads(tacit("config", "--json", home=empty_home).stdout)["settings"]
    keys = [row["key"] for row in table]
    assert "serve.port" in keys and len(keys) == len(set(keys))
    variables = [row["variable"] for row in table]
    assert len(variables) == len(set(variables)), "no variable means two settings"
    page = pathlib.Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == tacit("config", "--markdown", home=empty_home).stdout, "tacit config --markdown > docs/settings.md"


def test_ranks_of_settings(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Command line before environment before file, seen at a switch that changes the output."""
    file = tmp_path / "tacit.toml"
    file.write_text("[list]\njson = true\n")
    assert tacit("list", home=empty_home).stdout.startswith("No models")
    assert tacit("--config", str(file), "list", home=empty_home).stdout.startswith("{")
    assert tacit("list", home=empty_home, env={"TACIT_CONFIG": str(file)}).stdout.startswith("{")
    assert tacit("list", home=empty_home, env={"TACIT_LIST_JSON": "true"}).stdout.startswith("{")
    both = {"TACIT_CONFIG": str(file), "TACIT_LIST_JSON": "false"}
    assert tacit("list", home=empty_home, env=both).stdout.startswith("No models")


def test_wrong_settings_name_the_right_one(empty_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tacit.toml"
    file.write_text("[serve]\nprot = 9000\n")
    done = tacit("--config", str(file), "list", home=empty_home)
    assert done.returncode == 2 and "serve.prot" in done.stderr and "serve.port" in done.stderr, done.stderr
    refused(tacit("list", home=empty_home, env={"TACIT_CONFIG": "/no/such/file"}))


@pytest.mark.parametrize("shell,check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"]), ("man", ["man", "--warnings", "-l"])])
def test_completions_are_well_formed(empty_home: pathlib.Path, tmp_path: pathlib.Path, shell: str, check: list[str]) -> None:
    done = tacit("completion", shell, home=empty_home)
    assert done.returncode == 0 and "pull" in done.stdout and "port" in done.stdout
    if shutil.which(check[0]) is None:
        return
    file = tmp_path / "completion"
    file.write_text(done.stdout)
    checked = subprocess.run([*check, str(file)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_bash_completes(empty_home: pathlib.Path) -> None:
    script = f'eval "$({BIN} completion bash)"; COMP_WORDS=(tacit pul); COMP_CWORD=1; _tacit; echo "${{COMPREPLY[@]}}"; ' \
             'COMP_WORDS=(tacit serve --por); COMP_CWORD=2; _tacit; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=harness.clean_environment(empty_home))
    assert done.stdout.split() == ["pull", "--port"], done
