"""Many clients for a while: does anything leak, stick or mix?

    TACIT_BIN=build/dev/bin/tacit "$TACIT_E2E_PYTHON" tests/soak/soak.py --clients 300 --seconds 60

Starts a server of its own. Most clients read their answers; some stall, some leave, some reset. Checked:
  - no text of one client in the answer of another: fixed prompts at temperature 0 are compared with
    their solo answers, marker prompts carry a word that no other request has;
  - every answer that ends says so once, and every slot is free afterwards;
  - the memory of server and worker is what it was after the warm-up;
  - idle connections are cheap.
Prints each phase and a table on standard error and one JSON object on standard output; exits 1 when a
check fails.

--seconds is the measured part alone. Before it come the solo answers and a warm-up, and after each crowd
every client's last answer is waited for: with SmolLM2 on two cores, 300 clients for 60 s take 4 to 5
minutes in all.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import platform
import random
import re
import resource
import string
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
from client import Answer, Connection  # noqa: E402

TOPICS = ("foxes", "volcanoes", "bread", "the violin", "Antarctica", "bicycles", "whales", "gravity", "chess", "rain forests", "the moon",
          "clocks", "honey bees", "glass", "the printing press", "tea", "lighthouses", "snow", "maps", "the heart", "mirrors", "salt", "owls",
          "trains")
MARKER = re.compile(r"ZQ[A-Z]{6}")
answer_tokens = 32  # set by --tokens


def fixed_body(topic: str) -> dict:
    return body(f"Write two sentences about {topic}.")


def body(prompt: str) -> dict:
    return {"model": harness.MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": answer_tokens, "temperature": 0,
            "stream": True, "stream_options": {"include_usage": True}}


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i:i + size]) for i in range(len(words) - size + 1)}


class Oracle:
    """Knows what each fixed prompt answers when nobody else asks, and whose each marker is."""

    def __init__(self) -> None:
        self.solo: dict[str, Answer] = {}
        self.unique: dict[tuple[str, ...], str] = {}
        self.markers: set[str] = set()

    async def learn(self, connection: Connection) -> None:
        seen = collections.Counter()
        for topic in TOPICS:
            self.solo[topic] = await connection.chat(fixed_body(topic), stay)
            assert self.solo[topic].whole, f"the solo answer about {topic} failed: {vars(self.solo[topic])}"
            seen.update(shingles(self.solo[topic].text))
        for topic, answer in self.solo.items():
            self.unique.update({s: topic for s in shingles(answer.text) if seen[s] == 1})

    def new_marker(self) -> str:
        marker = "ZQ" + "".join(random.choices(string.ascii_uppercase, k=6))
        self.markers.add(marker)
        return marker

    def foreign(self, text: str, topic: str | None, marker: str | None) -> str:
        """What in this text belongs to somebody else; empty when all is well."""
        for found in MARKER.findall(text):
            if found in self.markers and found != marker:
                return found
        own = shingles(self.solo[topic].text) if topic else set()
        for shingle in shingles(text):
            owner = self.unique.get(shingle)
            if owner is not None and owner != topic and shingle not in own:
                return f"{owner}: {' '.join(shingle)}"
        return ""


async def stay(_: Answer) -> bool:
    return False


class Soak:
    def __init__(self, server: harness.Server, seed: int) -> None:
        self.server = server
        self.oracle = Oracle()
        self.counts: collections.Counter[str] = collections.Counter()
        self.mixed: list[str] = []
        self.broken: list[str] = []
        self.dice = random.Random(seed)

    def connection(self) -> Connection:
        return Connection("127.0.0.1", self.server.port, self.server.key)

    async def client(self, end: float) -> None:
        connection = self.connection()
        while time.monotonic() < end:
            try:
                await asyncio.wait_for(self.one(connection), harness.patience(180))
            except (OSError, asyncio.IncompleteReadError) as failure:
                self.broken.append(type(failure).__name__)
                connection.reset()
            except TimeoutError:
                self.broken.append("no end within the time limit")
                connection.reset()
        await connection.close()

    async def one(self, connection: Connection) -> None:
        topic = self.dice.choice(TOPICS) if self.dice.random() < 0.6 else None
        marker = None if topic else self.oracle.new_marker()
        request = fixed_body(topic) if topic else body(f"My code word is {marker}. Repeat my code word: {marker}")
        manner = self.dice.choices(("reads", "stalls", "leaves", "resets"), (70, 10, 15, 5))[0]
        leave_at = self.dice.randrange(0, 12)
        stalled = False

        async def pieces(answer: Answer) -> bool:
            nonlocal stalled
            if manner == "stalls" and not stalled and answer.pieces >= 1:
                stalled = True
                await asyncio.sleep(self.dice.uniform(0.5, 4))
            return manner in ("leaves", "resets") and answer.pieces >= leave_at

        answer = await connection.chat(request, pieces)
        self.counts[manner] += 1
        self.judge(answer, manner, topic, marker)
        if answer.status != 200:
            await asyncio.sleep(answer.retry_after * self.dice.uniform(0.5, 1.5))
        elif not answer.done:
            connection.reset() if manner == "resets" else await connection.close()

    def judge(self, answer: Answer, manner: str, topic: str | None, marker: str | None) -> None:
        self.counts[f"status {answer.status}"] += 1
        foreign = self.oracle.foreign(answer.text, topic, marker)
        if foreign:
            self.mixed.append(f"{topic or marker} got {foreign!r} in {answer.text!r}")
        if answer.status not in (200, 429, 503):
            self.broken.append(f"status {answer.status}")
        if answer.status != 200 or (manner in ("leaves", "resets") and not answer.done):
            return
        if not answer.whole or len(answer.ids) != 1:
            self.broken.append(f"incomplete: finish {answer.finish!r}, done {answer.done}, error {answer.error!r}, ids {len(answer.ids)}")
            return
        self.counts["whole answers"] += 1
        if topic:
            solo = self.oracle.solo[topic]
            if answer.prompt_tokens != solo.prompt_tokens:
                self.mixed.append(f"{topic}: {answer.prompt_tokens} prompt tokens, {solo.prompt_tokens} alone")
            self.counts["same as alone" if answer.text == solo.text else "other than alone"] += 1
        elif marker in answer.text:
            self.counts["own marker repeated"] += 1

    async def crowd(self, clients: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        await asyncio.gather(*(self.client(end) for _ in range(clients)))


def memory(server: harness.Server) -> dict[str, float]:
    worker = server.workers()
    return {"server": harness.memory_kib(server.pid) / 1024, "worker": harness.memory_kib(worker[0], "RssAnon") / 1024 if worker else 0.0}


async def idle_connections(server: harness.Server, count: int) -> dict[str, float]:
    """Half of them have spoken once and keep alive, half have never said a word."""
    before = memory(server)["server"]
    held = []
    batch = 200
    for start in range(0, count, batch):
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port, limit=4096) for _ in range(min(batch, count - start))))
        for number, (reader, writer) in enumerate(opened):
            if number % 2:
                writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        for number, (reader, writer) in enumerate(opened):
            if number % 2:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
                await reader.readexactly(length)
        held += opened
    await asyncio.sleep(0.5)
    during = memory(server)["server"]
    answer = await Connection("127.0.0.1", server.port, server.key).chat(fixed_body(TOPICS[0]), stay)
    for _, writer in held:
        writer.transport.abort()
    await asyncio.sleep(0.5)
    return {"connections": count, "mib": during - before, "kib_each": (during - before) * 1024 / count if count else 0, "served_meanwhile": answer.whole}


def raise_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Phases:
    """Says on standard error what is going on, so that nobody takes waiting for a hang."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def say(self, what: str) -> None:
        print(f"[{time.monotonic() - self.begun:5.0f} s] {what}", file=sys.stderr, flush=True)


async def settle(server: harness.Server) -> None:
    await asyncio.to_thread(server.wait_idle, 60)
    await asyncio.sleep(1)


async def run(options: argparse.Namespace, server: harness.Server) -> dict:
    soak = Soak(server, options.seed)
    phases = Phases()
    warm_up = max(3.0, options.seconds / 4)
    phases.say(f"{len(TOPICS)} solo answers, to compare with")
    await soak.oracle.learn(soak.connection())
    rows: dict[str, dict[str, float]] = {}
    phases.say(f"{options.idle} idle connections")
    idle = await idle_connections(server, options.idle)
    phases.say(f"warm-up: {options.clients} clients for {warm_up:g} s, then until their last answers have come")
    await soak.crowd(options.clients, warm_up)  # pools and arenas reach their size
    await settle(server)
    rows["after the warm-up"] = memory(server)
    soak.counts.clear()
    phases.say(f"measured: {options.clients} clients for {options.seconds:g} s, then until their last answers have come")
    started = time.monotonic()
    crowd = asyncio.create_task(soak.crowd(options.clients, options.seconds))
    peak = memory(server)
    while not crowd.done():
        await asyncio.wait({crowd}, timeout=0.5)
        peak = {who: max(peak[who], now) for who, now in memory(server).items()}
    await crowd
    elapsed = time.monotonic() - started
    rows["peak"] = peak
    phases.say("waiting for the server to be idle")
    await settle(server)
    rows["at the end"] = memory(server)
    values = harness.parse_metrics(server.metrics_text())
    growth = {who: rows["at the end"][who] - rows["after the warm-up"][who] for who in ("server", "worker")}
    allowed = {who: max(16.0, 0.15 * rows["after the warm-up"][who]) for who in growth}
    checks = {
        "no text mixed": not soak.mixed,
        "no answer broken": not soak.broken,
        "no slot stuck": values["vllm:num_requests_running"] == 0 and values["vllm:num_requests_waiting"] == 0,
        "server's memory returns": growth["server"] <= allowed["server"],
        "worker's memory returns": growth["worker"] <= allowed["worker"],
        "idle connections are cheap": idle["mib"] < (100 * options.idle / 5000 + 8) * (10 if harness.SANITIZED else 1) and idle["served_meanwhile"],
        "answers came": soak.counts["whole answers"] > 0,
        "one worker": len(server.workers()) == 1,
    }
    return {"clients": options.clients, "seconds": round(elapsed, 1), "counts": dict(sorted(soak.counts.items())), "memory_mib": rows, "idle": idle,
            "kv_cache_usage": values["vllm:kv_cache_usage_perc"], "mixed": soak.mixed[:5], "broken": dict(collections.Counter(soak.broken)),
            "checks": checks, "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"}


def print_table(result: dict) -> None:
    out = sys.stderr
    print(f"\n{result['clients']} clients for {result['seconds']} s on {result['machine']}", file=out)
    for name, count in result["counts"].items():
        print(f"  {name:<24} {count:>8}", file=out)
    print(f"  {'memory, MiB':<24} {'server':>8} {'worker':>8}", file=out)
    for name, row in result["memory_mib"].items():
        print(f"  {name:<24} {row['server']:>8.1f} {row['worker']:>8.1f}", file=out)
    idle = result["idle"]
    print(f"  {idle['connections']} idle connections: {idle['mib']:.1f} MiB, {idle['kib_each']:.1f} KiB each", file=out)
    for name, good in result["checks"].items():
        print(f"  {'ok    ' if good else 'FAILED'} {name}", file=out)


def main() -> int:
    global answer_tokens
    parser = argparse.ArgumentParser(description="many clients for a while: does anything leak, stick or mix?")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--idle", type=int, default=5000, help="idle connections")
    parser.add_argument("--tokens", type=int, default=answer_tokens, help="longest answer")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    answer_tokens = options.tokens
    harness.THREADS = ()  # as the product chooses
    raise_descriptors()
    models = harness.pulled_models()
    with tempfile.TemporaryDirectory(prefix="tacit-soak-") as folder:
        with harness.running(harness.make_home(pathlib.Path(folder), models)) as server:
            result = asyncio.run(run(options, server))
    print_table(result)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
