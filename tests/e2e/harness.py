"""Starts and watches the real `tacit` as a user would; what every suite here stands on.

Environment: TACIT_BIN is the program under test. TACIT_E2E_STORE is a folder that keeps the pulled
model between runs (default: below the user's cache folder). TACIT_E2E_SEALED puts `tacit connect` between
the clients and the server; "relay" puts `tacit relay` between these two as well. TACIT_E2E_SLOW multiplies every patience,
for sanitizer builds and busy machines.
"""

import collections
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import httpx
import openai
import pytest

MODEL = "smollm2:135m"
MODEL_BYTES = 98_362_432
BIN = os.environ.get("TACIT_BIN", "")
SEALED = os.environ.get("TACIT_E2E_SEALED", "") not in ("", "0", "OFF")  # every client through `tacit connect`
RELAYED = os.environ.get("TACIT_E2E_SEALED") == "relay"
SANITIZED = os.environ.get("TACIT_E2E_SANITIZED", "") not in ("", "0", "OFF")
SLOW = float(os.environ.get("TACIT_E2E_SLOW") or (6 if SANITIZED else 2))
# One thread computes steadily even where every core is taken; two wait for each other all the time.
THREADS = ("--threads", os.environ.get("TACIT_E2E_THREADS", "1"))
RUN = ("run", *THREADS, "--max-tokens", "48")  # a small model may go on for ever
KEY_PATTERN = re.compile(r"\btk-[A-Za-z0-9_-]{16,}")


def patience(seconds: float) -> float:
    """How long to wait for something that normally takes far less than `seconds`."""
    return seconds * SLOW


def eventually(what: str, probe, seconds: float = 10, every: float = 0.05):
    """Waits until probe() is true and returns its value. Never a timing assertion: generous."""
    end = time.monotonic() + patience(seconds)
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what} (last: {value!r})")
        time.sleep(every)


def clean_environment(home: pathlib.Path | str, **more: str) -> dict[str, str]:
    """The user's environment, less what would leak into the product's behaviour."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TACIT_", "OPENAI_"))}
    env.update(TACIT_HOME=str(home), LC_ALL="C.UTF-8", TERM="xterm", **more)
    return env


def tacit(*arguments: str, home: pathlib.Path, seconds: float = 60, stdin: str | bytes | None = None,
          env: dict[str, str] | None = None, cwd: pathlib.Path | None = None,
          wrapper: tuple[str, ...] = (), bounded: bool = True) -> subprocess.CompletedProcess:
    """Runs one command to its end. Output is bytes decoded with replacement, for foreign text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    if arguments[:1] == ("run",) and len(arguments) > 1:
        arguments = (*(RUN if bounded else ("run", *THREADS)), *arguments[1:])
    done = subprocess.run([*wrapper, BIN, *arguments], input=b"" if stdin is None else stdin, capture_output=True,
                          timeout=patience(seconds), env={**clean_environment(home), **(env or {})}, cwd=cwd)
    done.stdout = done.stdout.decode(errors="replace")
    done.stderr = done.stderr.decode(errors="replace")
    return done


def shared_store() -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("TACIT_E2E_STORE") or cache / "tacit" / "e2e-home")


def pulled_models() -> pathlib.Path:
    """The models folder of a home into which the starter model was pulled, once for all runs."""
    store = shared_store()
    store.mkdir(parents=True, exist_ok=True)
    with open(store / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = tacit("pull", MODEL, home=store, seconds=300)
    assert done.returncode == 0, f"tacit pull {MODEL} failed:\n{done.stdout}\n{done.stderr}"
    return store / "models"


def make_home(root: pathlib.Path, models: pathlib.Path | None) -> pathlib.Path:
    """A fresh TACIT_HOME that shares the pulled model."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=root))
    if models is not None:
        (home / "models").symlink_to(models)
    return home


def weights_file(models: pathlib.Path) -> pathlib.Path:
    """The GGUF file of the starter model inside the store."""
    return next(path for path in sorted((models / "blobs" / "sha256").iterdir())
                if path.stat().st_size == MODEL_BYTES and len(path.name) == 64)


# --- processes --------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return sorted(found)


def is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def alive(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}").exists() and not is_zombie(pid)


def memory_kib(pid: int, field: str = "VmRSS") -> int:
    """A line of /proc/PID/status: VmRSS is what is resident, RssAnon what is not a mapped file."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- the server -------------------------------------------------------------------------------


@dataclasses.dataclass
class Server:
    """One running `tacit serve`. Its log is read by a thread, so that it can never block on it."""

    process: subprocess.Popen
    home: pathlib.Path
    log_path: pathlib.Path
    url: str = ""  # where clients go: the server, or the `tacit connect` before it
    key: str = ""
    tunnel: subprocess.Popen | None = None
    relay: subprocess.Popen | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].strip("/"))

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def records(self) -> list[dict]:
        """The structured records of the log; other lines (the key, shown once) are left out."""
        found = []
        for line in self.log().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                if isinstance(record, dict):
                    found.append(record)
        return found

    def workers(self) -> list[int]:
        return [pid for pid in children(self.pid) if not is_zombie(pid)]

    def worker(self) -> int:
        return eventually("a worker process", self.workers)[0]

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def http(self, **settings) -> httpx.Client:
        settings.setdefault("timeout", patience(30))
        settings.setdefault("headers", self.headers())
        return httpx.Client(base_url=self.url, trust_env=False, **settings)

    def client(self, **settings) -> openai.OpenAI:
        settings.setdefault("api_key", self.key or "none")
        settings.setdefault("max_retries", 0)
        settings.setdefault("timeout", patience(60))
        return openai.OpenAI(base_url=self.url + "/v1", **settings)

    def async_client(self, **settings) -> openai.AsyncOpenAI:
        settings.setdefault("api_key", self.key or "none")
        settings.setdefault("max_retries", 0)
        settings.setdefault("timeout", patience(60))
        return openai.AsyncOpenAI(base_url=self.url + "/v1", **settings)

    def connect(self, seconds: float = 20) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=patience(seconds))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def metrics_text(self) -> str:
        with self.http() as http:
            answer = http.get("/metrics")
            assert answer.status_code == 200, answer.text
            return answer.text

    def metric(self, name: str) -> float:
        """The sum over all label sets of one metric; 0 when it has not appeared yet."""
        return parse_metrics(self.metrics_text())[name]

    def wait_idle(self, seconds: float = 20) -> None:
        """Waits until no request runs or waits, as /metrics sees it."""
        def idle() -> bool:
            values = parse_metrics(self.metrics_text())
            return values["vllm:num_requests_running"] == 0 and values["vllm:num_requests_waiting"] == 0
        eventually("no running and no waiting request", idle, seconds)

    def ask(self, prompt: str, max_tokens: int = 16, **more) -> str:
        answer = self.client().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=max_tokens, **more)
        return answer.choices[0].message.content or ""

    def wait_exit(self, seconds: float = 30) -> int:
        return self.process.wait(patience(seconds))

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, as a service manager does it. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.tunnel is not None:
            self.tunnel.kill()
            self.tunnel.wait()
            self.tunnel = None
        if self.relay is not None:
            self.relay.kill()
            self.relay.wait()
            self.relay = None


def parse_metrics(text: str) -> dict[str, float]:
    values: dict[str, float] = collections.defaultdict(float)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name.partition("{")[0]] += float(value)
    return values


def start_server(home: pathlib.Path, *arguments: str, listen: tuple[str, ...] = ("--port", "0"),
                 model: str | None = MODEL, env: dict[str, str] | None = None, cwd: pathlib.Path | None = None,
                 wait: bool = True, limits=None) -> Server:
    """Starts `tacit serve` and, unless told otherwise, waits until it listens and has given a key."""
    log_path = pathlib.Path(tempfile.mkstemp(prefix="serve-", suffix=".log", dir=home.parent)[1])
    command = [BIN, "serve", "--log-format", "json", *THREADS, *listen]
    if model is not None:
        command += ["--model", model]
    with open(log_path, "wb") as log:
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**clean_environment(home), **(env or {})}, cwd=cwd, preexec_fn=limits)
    server = Server(process, home, log_path)
    if not wait:
        return server
    try:
        def listening() -> str:
            if process.poll() is not None:
                raise AssertionError(f"tacit serve ended with {process.returncode}:\n{server.log()}")
            for record in server.records():
                if record.get("message") == "server.listening":
                    return record["url"]
            return ""
        server.url = eventually("the record server.listening", listening, 60).rstrip("/")
        if "--no-auth" not in arguments:
            server.key = first_key(server) or create_key(home)
        if SEALED and server.url.startswith("http://"):
            through = ()
            if RELAYED:
                server.relay, url, _ = start_relay(home.parent, server.url, "--rate", "0")
                through = ("--relay", url)
            connect_sealed(server, *through)
    except BaseException:
        server.kill()
        raise
    return server


def connect_sealed(server: Server, *arguments: str) -> str:
    """Puts `tacit connect` between the clients and the server. Returns what it said at its start."""
    said = pathlib.Path(tempfile.mkstemp(prefix="connect-", suffix=".log", dir=server.home.parent)[1])
    home = pathlib.Path(tempfile.mkdtemp(prefix="client-", dir=server.home.parent))
    with open(said, "wb") as log:
        server.tunnel = subprocess.Popen([BIN, "connect", server.url, "--port", "0", *arguments], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, env=clean_environment(home))

    def listening() -> str:
        text = said.read_text(errors="replace")
        assert server.tunnel.poll() is None, f"tacit connect ended with {server.tunnel.returncode}:\n{text}"
        match = re.search(r"^Listening +(http://[0-9.:]+)", text, re.MULTILINE)
        return match.group(1) if match else ""
    server.url = eventually("tacit connect listens", listening, 20)
    return said.read_text(errors="replace")


def start_relay(root: pathlib.Path, *arguments: str) -> tuple[subprocess.Popen, str, pathlib.Path]:
    """Starts `tacit relay`: its process, its address and the file it logs to."""
    log_path = pathlib.Path(tempfile.mkstemp(prefix="relay-", suffix=".log", dir=root)[1])
    with open(log_path, "wb") as log:
        process = subprocess.Popen([BIN, "relay", "--port", "0", "--log-level", "debug", *arguments], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, env=clean_environment(root))

    def listening() -> str:
        assert process.poll() is None, log_path.read_text()
        match = re.search(r"relay\.listening url=(\S+)", log_path.read_text())
        return match.group(1) if match else ""
    return process, eventually("the relay listens", listening), log_path


def first_key(server: Server) -> str:
    """The key that the first start shows once."""
    match = KEY_PATTERN.search(server.log())
    return match.group(0) if match else ""


def create_key(home: pathlib.Path, name: str = "e2e") -> str:
    done = tacit("key", "create", "--name", name, home=home)
    assert done.returncode == 0, done.stderr
    match = KEY_PATTERN.search(done.stdout)
    assert match, f"no key on standard output: {done.stdout!r}"
    return match.group(0)


@contextlib.contextmanager
def running(home: pathlib.Path, *arguments: str, **settings):
    """`with running(home) as server:`; the server must end well when the test has gone well."""
    server = start_server(home, *arguments, **settings)
    try:
        yield server
        if server.process.poll() is None:
            assert server.stop() == 0, server.log()[-4000:]
    finally:
        server.kill()


# --- raw HTTP ---------------------------------------------------------------------------------


def read_response(connection: socket.socket, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
    """One response from a raw connection. (0, {}, b"") when the peer closes before sending any."""
    reader = connection if hasattr(connection, "readline") else connection.makefile("rb")
    line = reader.readline()
    if not line:
        return 0, {}, b""
    status = int(line.split()[1])
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if head_only or status in (204, 304) or 100 <= status < 200:
        return status, headers, b""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(reader.readline().split(b";")[0] or b"0", 16)) > 0:
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return status, headers, body
    if "content-length" in headers:
        return status, headers, reader.read(int(headers["content-length"]))
    return status, headers, reader.read()


def is_openai_error(body: dict) -> bool:
    """Whether a JSON body has the shape that OpenAI's clients expect of an error."""
    error = body.get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str) and isinstance(error.get("type"), str) \
        and "code" in error and "param" in error


def run_node_tests(folder: pathlib.Path, script: str, **environment: str) -> None:
    """Runs a suite of node:test with the npm packages that ./dev prepared; fails as it fails."""
    node = os.environ.get("TACIT_E2E_NODE") or shutil.which("node")
    modules = os.environ.get("TACIT_E2E_NODE_MODULES")
    if not node or not modules:
        pytest.skip("SKIPPED: no Node or no npm packages (TACIT_E2E_NODE, TACIT_E2E_NODE_MODULES); ./dev e2e prepares both")
    done = subprocess.run([node, "--test", "--test-reporter=spec", str(folder / script)], capture_output=True, text=True,
                          timeout=patience(240), env={"PATH": os.environ["PATH"], "TACIT_E2E_NODE_MODULES": modules, **environment})
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def sse_events(text: str) -> list[str]:
    return [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]


def copy_tree_without_models(home: pathlib.Path, to: pathlib.Path) -> None:
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("models"), symlinks=True)
