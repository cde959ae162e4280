"""What the wire tells about an answer, for each setting of `tacit connect --pace`.

    TACIT_BIN=build/release/bin/tacit "$TACIT_E2E_PYTHON" bench/leakage.py --answers 20

Somebody who sees the wire wants to tell two kinds of answers apart: short and long ones; stories and lists cut to the same
number of tokens. For each he may use one number: bytes of the reply, packets of it, how long it took, the longest pause. The
table has the area under the curve of the best of them, as Whisper Leak measures it (arXiv 2511.03675): 0.5 is guessing, 1 is
certainty. A classifier that sees everything at once does better than one number: what is near 1 here is lost, what is near 0.5
is not proved safe.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import harness  # noqa: E402
from test_wire import Recorder  # noqa: E402

STORY = ("Tell me a story about a fox.", 40)
LIST = ("List the planets, one a line.", 40)
SHORT = ("Say yes.", 4)
PACES = ("off", "100", "whole")
FEATURES = ("bytes", "packets", "seconds", "pause")


class Watcher(Recorder):
    """Also keeps when each piece of a reply passed."""

    def __init__(self, port: int) -> None:
        self.passed: list[tuple[float, int]] = []
        super().__init__(port)

    def pump(self, source, sink, kept) -> None:  # noqa: ANN001
        down = any(kept is stream[1] for stream in self.streams)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if down:
                    self.passed.append((time.monotonic(), len(data)))
                sink.sendall(data)


def observe(client: harness.Server, watcher: Watcher, kind: tuple[str, int], seed: int) -> dict[str, float]:
    watcher.passed.clear()
    begun = time.monotonic()
    for _ in client.client().chat.completions.create(model=harness.MODEL, messages=[{"role": "user", "content": kind[0]}], max_tokens=kind[1],
                                                     temperature=1, seed=seed, stream=True):
        pass
    times = [begun, *(at for at, _ in watcher.passed)]
    pauses = [later - earlier for earlier, later in zip(times, times[1:])]
    return {"bytes": sum(size for _, size in watcher.passed), "packets": len(pauses), "seconds": times[-1] - begun, "pause": max(pauses)}


def area(ones: list[float], others: list[float]) -> float:
    """Under the ROC curve, whichever way round."""
    wins = sum((a > b) + 0.5 * (a == b) for a in ones for b in others) / (len(ones) * len(others))
    return max(wins, 1 - wins)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--answers", type=int, default=20, help="of each kind and setting")
    options = arguments.parse_args()
    harness.SEALED = False
    print(f"{'pace':<8} {'pair':<14} " + " ".join(f"{name:>8}" for name in FEATURES) + f" {'best':>8}")
    with tempfile.TemporaryDirectory() as folder:
        home = harness.make_home(pathlib.Path(folder), harness.pulled_models())
        with harness.running(home) as server:
            for pace in PACES:
                watcher = Watcher(server.port)
                client = dataclasses.replace(server, url=f"http://127.0.0.1:{watcher.port}", tunnel=None)
                harness.connect_sealed(client, "--pace", pace)
                try:
                    client.ask("Hello", max_tokens=1)
                    seen = {kind: [observe(client, watcher, kind, seed) for seed in range(options.answers)] for kind in (STORY, LIST, SHORT)}
                finally:
                    client.tunnel.kill()
                    client.tunnel.wait()
                for name, one, other in (("short or long", SHORT, STORY), ("story or list", STORY, LIST)):
                    areas = {feature: area([a[feature] for a in seen[one]], [a[feature] for a in seen[other]]) for feature in FEATURES}
                    print(f"{pace:<8} {name:<14} " + " ".join(f"{areas[feature]:>8.2f}" for feature in FEATURES)
                          + f" {max(areas.values()):>8.2f}", flush=True)


if __name__ == "__main__":
    main()
