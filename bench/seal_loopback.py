"""What `tacit connect` adds to a request on loopback: the same requests plain and sealed, alternating.

    TACIT_BIN=build/release/bin/tacit python3 bench/seal_loopback.py

The requests name a model that does not exist, so that no engine is measured. Prints a table, in milliseconds.
"""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ["TACIT_BIN"]


def start(pattern: str, *arguments: str, home: str) -> tuple[subprocess.Popen, int, str]:
    env = {**os.environ, "TACIT_HOME": home}
    process = subprocess.Popen([BIN, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True)
    said = ""
    for line in process.stderr:
        said += line
        found = re.search(pattern, line)
        if found:
            return process, int(found.group(1)), said
    raise SystemExit(said)


def once(connection: http.client.HTTPConnection, key: str, body: bytes) -> float:
    begun = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 404, answer.status
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as client_home:
        server, port, said = start(r"server.listening url=http://127.0.0.1:(\d+)", "serve", "--port", "0", home=home)
        key = re.search(r"tk-[\w-]{43}", said).group(0)
        tunnel, sealed_port, _ = start(r"Listening +http://127.0.0.1:(\d+)", "connect", f"http://127.0.0.1:{port}", "--port", "0",
                                       home=client_home)
        try:
            plain = http.client.HTTPConnection("127.0.0.1", port)
            sealed = http.client.HTTPConnection("127.0.0.1", sealed_port)
            print(f"{'body':>8} {'plain p50':>10} {'sealed p50':>11} {'added p50':>10} {'plain p99':>10} {'sealed p99':>11}")
            for size in (1024, 10 * 1024, 1024 * 1024):
                body = json.dumps({"model": "none", "messages": [{"role": "user", "content": "x" * size}]}).encode()
                times = {"plain": [], "sealed": []}
                for _ in range(rounds if size < 100_000 else rounds // 10):
                    times["plain"].append(once(plain, key, body))
                    times["sealed"].append(once(sealed, key, body))
                p50 = {name: statistics.median(values) for name, values in times.items()}
                p99 = {name: statistics.quantiles(values, n=100)[98] for name, values in times.items()}
                print(f"{size:>8} {p50['plain']:>10.3f} {p50['sealed']:>11.3f} {p50['sealed'] - p50['plain']:>10.3f} "
                      f"{p99['plain']:>10.3f} {p99['sealed']:>11.3f}")
        finally:
            tunnel.kill()
            server.kill()


if __name__ == "__main__":
    main()
