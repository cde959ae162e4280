"""The server's key changes every second, and applications ask through `tacit connect` all the while: nobody may notice.

    TACIT_BIN=build/dev/bin/tacit "$TACIT_E2E_PYTHON" tests/soak/rotation.py --seconds 300

Clients ask for what costs the engine nothing; one streams answers that live longer than a key. Prints a table on standard
error and one JSON object on standard output; exits 1 when a request failed.
"""

import argparse
import collections
import http.client
import json
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402

KEY_LIFE = 2  # seconds; the next key comes at half of it


class Client(threading.Thread):
    """Asks until told to stop. `failures` counts whatever is not the answer that was expected."""

    def __init__(self, server: harness.Server, stop: threading.Event, kind: str) -> None:
        super().__init__(daemon=True)
        self.server, self.stop, self.kind = server, stop, kind
        self.num_requests, self.failures, self.slowest = 0, collections.Counter(), 0.0

    def run(self) -> None:
        connection = None
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=harness.patience(60))
                wrong = self.ask(connection)
            except (OSError, http.client.HTTPException) as failure:
                wrong, connection = repr(failure), None
            self.num_requests += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if wrong:
                self.failures[wrong] += 1

    def ask(self, connection: http.client.HTTPConnection) -> str:
        """What was wrong; empty when nothing was."""
        if self.kind == "models":
            connection.request("GET", "/v1/models", headers=self.server.headers())
            answer = connection.getresponse()
            body = answer.read()
            return "" if answer.status == 200 and json.loads(body)["data"] else f"{answer.status} {body[:200]!r}"
        if self.kind == "long bodies":
            body = {"model": "none", "messages": [{"role": "user", "content": "x" * 200_000}]}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {**self.server.headers(), "Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            return "" if answer.status == 404 and json.loads(body)["error"] else f"{answer.status} {body[:200]!r}"
        body = {"model": harness.MODEL, "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "Tell me a story."}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {**self.server.headers(), "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return "" if answer.status == 200 and text.rstrip().endswith(b"data: [DONE]") else f"{answer.status} {text[-200:]!r}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=300)
    arguments.add_argument("--clients", type=int, default=6)
    options = arguments.parse_args()
    harness.SEALED = False  # the tunnel is put there below
    with tempfile.TemporaryDirectory() as folder:
        home = harness.make_home(pathlib.Path(folder), harness.pulled_models())
        with harness.running(home, "--sealed-key-life", str(KEY_LIFE), "--log-level", "debug") as server:
            harness.connect_sealed(server)
            stop = threading.Event()
            kinds = ["stories", "long bodies"] + ["models"] * (options.clients - 2)
            clients = [Client(server, stop, kind) for kind in kinds]
            for client in clients:
                client.start()
            time.sleep(options.seconds)
            stop.set()
            for client in clients:
                client.join(harness.patience(90))
            num_keys = server.log().count("sealed.key_rotated")
    failures = sum((client.failures for client in clients), collections.Counter())
    result = {"seconds": options.seconds, "keys": num_keys, "requests": sum(client.num_requests for client in clients),
              "failed": sum(failures.values()), "slowest_s": round(max(client.slowest for client in clients), 3)}
    for kind in dict.fromkeys(kinds):
        count = sum(client.num_requests for client in clients if client.kind == kind)
        print(f"{kind:<14} {count:>8} requests", file=sys.stderr)
    for failure, count in failures.most_common(10):
        print(f"failed {count} times: {failure}", file=sys.stderr)
    print(json.dumps(result))
    return 0 if not failures and num_keys >= options.seconds // 2 and all(client.num_requests for client in clients) else 1


if __name__ == "__main__":
    sys.exit(main())
