#!/usr/bin/env python3
"""What a warm prefix is worth to its tenant, and what others see of it: time to the first token.

    TACIT_BIN=build/release/bin/tacit bench/prefix_isolation.py [PAIRS] [PREFIX_TOKENS] [SERVE OPTIONS...]

Every round takes a fresh prefix. Tenant A asks with it (cold), asks again (warm); then tenant B asks
with the very same text, in half of the rounds; in the other half B asks with one that nobody has
used. If A's cache helped B, the first half of B's times would be smaller: the two halves are compared
by their medians and by the Mann-Whitney U test (two-sided, normal approximation).
"""

import http.client
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ["TACIT_BIN"]
MODEL = os.environ.get("TACIT_BENCH_MODEL", "smollm2")
HOME = os.environ.get("TACIT_BENCH_HOME") or os.path.expanduser("~/.cache/tacit/e2e-home")
WORDS = ("time year people way day man thing woman life child world school state family student group country problem "
         "hand part place case week company system program question work government number night point home water room "
         "mother area money story fact month lot right study book eye job word business issue side kind head house").split()


def serve(home: str, *options: str) -> tuple[subprocess.Popen, int, str]:
    env = {**os.environ, "TACIT_HOME": home}
    process = subprocess.Popen([BIN, "serve", "--port", "0", "--model", MODEL, *options], env=env,
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = ""
    for line in process.stderr:
        said += line
        if port := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return process, int(port.group(1)), re.search(r"\btk-[A-Za-z0-9_-]+", said).group(0)
    raise SystemExit(said)


def ttft_ms(port: int, key: str, text: str) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({"model": MODEL, "max_tokens": 2, "temperature": 0, "stream": True,
                       "stream_options": {"include_usage": True},
                       "messages": [{"role": "user", "content": text}]})
    begun = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body,
                       {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    first = 0.0
    cached = 0
    for line in answer:
        if first == 0 and b'"content":"' in line and b'"content":""' not in line:
            first = (time.perf_counter() - begun) * 1000
        if found := re.search(rb'"cached_tokens":(\d+)', line):
            cached = int(found.group(1))
    connection.close()
    return first, cached


def mann_whitney_p(a: list[float], b: list[float]) -> float:
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    mean = len(a) * len(b) / 2
    deviation = math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return math.erfc(abs(u - mean) / deviation / math.sqrt(2))


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    tokens = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    with tempfile.TemporaryDirectory() as home:
        os.symlink(os.path.join(HOME, "models"), os.path.join(home, "models"))
        process, port, anna = serve(home, *sys.argv[3:])
        try:
            made = subprocess.run([BIN, "key", "create", "--name", "b", "--json"], capture_output=True, text=True,
                                  check=True, env={**os.environ, "TACIT_HOME": home})
            ben = json.loads(made.stdout)["key"]
            time.sleep(2.5)  # the server looks for new keys every second
            draw = random.Random(1)
            cold, warm, same, fresh = [], [], [], []
            for i in range(pairs):
                prefix = " ".join(draw.choice(WORDS) for _ in range(tokens))
                other = " ".join(draw.choice(WORDS) for _ in range(tokens))
                cold.append(ttft_ms(port, anna, prefix)[0])
                took, cached = ttft_ms(port, anna, prefix)
                assert cached > 0.9 * tokens, cached
                warm.append(took)
                took, cached = ttft_ms(port, ben, prefix if i % 2 == 0 else other)
                assert cached < 0.1 * tokens, cached  # the template's own beginning is B's too, from before
                (same if i % 2 == 0 else fresh).append(took)
        finally:
            process.terminate()
            process.wait()
    result = {"bench": "prefix_isolation", "pairs": pairs, "prefix_tokens": tokens,
              "anna_cold_ms": statistics.median(cold), "anna_warm_ms": statistics.median(warm),
              "speedup": statistics.median(cold) / statistics.median(warm),
              "ben_same_prefix_ms": statistics.median(same), "ben_unseen_prefix_ms": statistics.median(fresh or same),
              "ben_p_value": mann_whitney_p(same, fresh) if fresh else 1.0}
    print(f"A cold {result['anna_cold_ms']:.0f} ms, warm {result['anna_warm_ms']:.0f} ms: "
          f"{result['speedup']:.1f} times faster", file=sys.stderr)
    print(f"B with A's prefix {result['ben_same_prefix_ms']:.0f} ms, with one of nobody's "
          f"{result['ben_unseen_prefix_ms']:.0f} ms; p = {result['ben_p_value']:.2f}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
