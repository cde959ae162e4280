#!/usr/bin/env python3
"""tacit serve beside llama-server (the peer) and llama-batched-bench (the limit), alternating in one run.

    TACIT_BIN=build/release/bin/tacit bench/engine_peers.py [--rounds N] [--threads N] [--json FILE] [--quick]

The peers are built once from the source that tacit's own engine is built from (TACIT_LLAMA_ROOT/src, by
default the newest prefix in the cache) with the flags of its build; or name them: LLAMA_SERVER=,
LLAMA_BATCHED_BENCH=. All three get the same threads, slots, context and batch. Prompts are drawn anew for
every request, so that no cache helps anybody; tokens per second count the prefill's time on every side.
A last table has the longest gaps between tokens of running answers while a prompt of 2,000 tokens arrives.
"""

import argparse
import glob
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tacit")
HOME = os.environ.get("TACIT_BENCH_HOME") or os.path.join(CACHE, "e2e-home")
MODEL = os.environ.get("TACIT_BENCH_MODEL", "smollm2")
WORDS = ("time year people way day man thing woman life child world school state family student group country problem "
         "hand part place case week company system program question work government number night point home water").split()


# --- the peers --------------------------------------------------------------------------------


def peers() -> tuple[str, str]:
    server, limit = os.environ.get("LLAMA_SERVER"), os.environ.get("LLAMA_BATCHED_BENCH")
    if server and limit:
        return server, limit
    root = os.environ.get("TACIT_LLAMA_ROOT") or max(glob.glob(f"{CACHE}/llama.cpp/*"), key=os.path.getmtime)
    build = os.path.join(CACHE, "peers", os.path.basename(root))
    server, limit = (os.path.join(build, "bin", name) for name in ("llama-server", "llama-batched-bench"))
    if not (os.path.exists(server) and os.path.exists(limit)):
        print(f"building the peers from {root}/src, once, some minutes", file=sys.stderr)
        subprocess.run(["cmake", "-S", f"{root}/src", "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19", "-DBUILD_SHARED_LIBS=OFF",
                        "-DGGML_OPENMP=OFF", "-DGGML_NATIVE=ON", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
                        "-DLLAMA_BUILD_UI=OFF"], check=True, stdout=sys.stderr)
        subprocess.run(["cmake", "--build", build, "--target", "llama-server", "llama-batched-bench"], check=True,
                       stdout=sys.stderr)
    return server, limit


def weights() -> str:
    files = glob.glob(os.path.join(HOME, "models", "blobs", "sha256", "*"))
    return max((path for path in files if len(os.path.basename(path)) == 64), key=os.path.getsize)


class Server:
    def __init__(self, name: str, command: list[str], ready: str, env: dict[str, str] | None = None):
        self.name = name
        self.key = ""
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                        env={**os.environ, **(env or {})})
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(ready, line):
                self.port = int(found.group(1))
                break
        else:
            raise SystemExit(said)
        if key := re.search(r"\btk-[A-Za-z0-9_-]+", said):
            self.key = key.group(0)
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        while not self.healthy():
            time.sleep(0.2)

    def healthy(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


# --- one answer -------------------------------------------------------------------------------


class Answer:
    def __init__(self, server: Server, prompt: str, num_tokens: int):
        self.times: list[float] = []
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=900)
        headers = {"Content-Type": "application/json"}
        if server.key:
            headers["Authorization"] = f"Bearer {server.key}"
        body = json.dumps({"prompt": prompt, "n_predict": num_tokens, "temperature": 0, "ignore_eos": True,
                           "stream": True, "cache_prompt": False})
        self.begun = time.perf_counter()
        connection.request("POST", "/completion", body, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for line in answer:
            if line.startswith(b"data: ") and b'"stop":true' not in line:
                self.times.append(time.perf_counter())
        connection.close()
        assert self.times, "an answer without tokens"

    def ttft(self) -> float:
        return self.times[0] - self.begun

    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.times, self.times[1:])]


DRAW = random.Random(7)


def text_of(num_tokens: int) -> str:
    return " ".join(DRAW.choice(WORDS) for _ in range(num_tokens))


def at_once(server: Server, streams: int, prompt_tokens: int, num_tokens: int) -> tuple[float, list[Answer]]:
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda text=text_of(prompt_tokens): answers.append(Answer(server, text, num_tokens)))
               for _ in range(streams)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == streams
    return streams * num_tokens / (time.perf_counter() - begun), answers


def limit_rate(program: str, model: str, threads: int, streams: int, prompt_tokens: int, num_tokens: int) -> float:
    done = subprocess.run([program, "-m", model, "-c", str(streams * (prompt_tokens + num_tokens + 64)), "-b", "512",
                           "-ub", "512", "-t", str(threads), "-tb", str(threads), "-npp", str(prompt_tokens),
                           "-ntg", str(num_tokens), "-npl", str(streams), "--output-format", "jsonl"],
                          capture_output=True, text=True, check=True)
    row = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return streams * num_tokens / (row["t_pp"] + row["t_tg"])


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def stalls(server: Server, num_tokens: int) -> list[float]:
    """Gaps of four running answers, in the middle of which a long prompt arrives."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda text=text_of(32): answers.append(Answer(server, text, num_tokens)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    Answer(server, text_of(2000), 1)
    for thread in threads:
        thread.join()
    return [gap for answer in answers for gap in answer.gaps()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--tokens", type=int, default=96)
    options.add_argument("--json", help="write the rows there")
    options.add_argument("--quick", action="store_true", help="one round of the smallest cells, to see that it runs")
    chosen = options.parse_args()
    server_program, limit_program = peers()
    model = weights()
    cells = [(s, p) for p in (32, 512, 2000) for s in (1, 2, 4, 8, 16)]
    if chosen.quick:
        chosen.rounds, cells = 1, [(1, 32), (4, 32)]
    threads, slots, context = str(chosen.threads), 16, 4096
    rows = []
    with tempfile.TemporaryDirectory() as home:
        os.symlink(os.path.join(HOME, "models"), os.path.join(home, "models"))
        ours = Server("tacit", [os.environ["TACIT_BIN"], "serve", "--port", "0", "--model", MODEL, "--threads", threads,
                                "--parallel", str(slots), "--context", str(context)],
                      r"http://127\.0\.0\.1:(\d+)", {"TACIT_HOME": home})
        peer = Server("llama-server", [server_program, "-m", model, "--port", "18457", "-t", threads, "-tb", threads, "-np",
                                       str(slots), "-c", str(slots * context), "-b", "512", "-ub", "512"],
                      r"(?:listening on|HTTP server).*?(18457)")
        try:
            print(f"{'streams':>7} {'prompt':>6} | {'limit':>8} {'tacit':>8} {'server':>8} tok/s | of limit, of server | "
                  f"TTFT ms | gap p50 p99 ms (tacit/server)")
            for streams, prompt_tokens in cells:
                measured = {"limit": [], "tacit": [], "llama-server": []}
                answers = {"tacit": [], "llama-server": []}
                for _ in range(chosen.rounds):
                    for server in (ours, peer):
                        rate, done = at_once(server, streams, prompt_tokens, chosen.tokens)
                        measured[server.name].append(rate)
                        answers[server.name] += done
                    measured["limit"].append(limit_rate(limit_program, model, chosen.threads, streams, prompt_tokens,
                                                        chosen.tokens))
                row = {"streams": streams, "prompt_tokens": prompt_tokens, "tokens": chosen.tokens,
                       **{f"{name}_tok_s": statistics.median(rates) for name, rates in measured.items()}}
                for name, done in answers.items():
                    gaps = [gap for answer in done for gap in answer.gaps()] or [0.0]
                    row |= {f"{name}_ttft_ms": 1000 * statistics.median(a.ttft() for a in done),
                            f"{name}_gap_p50_ms": 1000 * quantile(gaps, 0.5),
                            f"{name}_gap_p99_ms": 1000 * quantile(gaps, 0.99)}
                rows.append(row)
                print(f"{streams:7} {prompt_tokens:6} | {row['limit_tok_s']:8.1f} {row['tacit_tok_s']:8.1f} "
                      f"{row['llama-server_tok_s']:8.1f}       | {row['tacit_tok_s'] / row['limit_tok_s']:5.2f} "
                      f"{row['tacit_tok_s'] / row['llama-server_tok_s']:5.2f} | {row['tacit_ttft_ms']:.0f}/"
                      f"{row['llama-server_ttft_ms']:.0f} | {row['tacit_gap_p50_ms']:.0f} {row['tacit_gap_p99_ms']:.0f} / "
                      f"{row['llama-server_gap_p50_ms']:.0f} {row['llama-server_gap_p99_ms']:.0f}", flush=True)
            gaps = {server.name: [] for server in (ours, peer)}
            for _ in range(chosen.rounds):
                for server in (ours, peer):
                    gaps[server.name] += stalls(server, chosen.tokens)
            row = {"case": "a prompt of 2000 tokens arrives beside 4 answers",
                   **{f"{name}_gap_p99_ms": 1000 * quantile(each, 0.99) for name, each in gaps.items()}}
            rows.append(row)
            print(f"a long prompt beside 4 answers: gap p99 {row['tacit_gap_p99_ms']:.0f} ms, "
                  f"llama-server {row['llama-server_gap_p99_ms']:.0f} ms")
        finally:
            ours.stop()
            peer.stop()
    if chosen.json:
        with open(chosen.json, "w") as out:
            json.dump({"bench": "engine_peers", "threads": chosen.threads, "rounds": chosen.rounds, "rows": rows}, out, indent=1)


if __name__ == "__main__":
    main()
