"""The memory plan against what a worker really takes."""

import json

import harness
import pytest


def plan(home, *arguments: str) -> tuple[int, dict]:
    done = harness.tacit("plan", harness.MODEL, "--json", *arguments, home=home)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("context,parallel,kv_type", [(512, 1, "f16"), (1024, 2, "f16"), (2048, 1, "q4_0")])
def test_the_plan_is_what_the_worker_then_takes(home, context, parallel, kv_type):
    settings = ("--context", str(context), "--parallel", str(parallel), "--kv-type", kv_type)
    status, planned = plan(home, *settings)
    assert status == 0 and planned["fits"]
    assert (planned["context_tokens"], planned["sequences"]) == (context, parallel)
    with harness.running(home, "--model", harness.MODEL, *settings) as server:
        client = server.client(timeout=harness.patience(200))
        words = "word " * (context - 60)
        client.chat.completions.create(model=harness.MODEL, max_tokens=4, messages=[{"role": "user", "content": words}])
        used = harness.memory_kib(server.worker()) * 1024
        assert abs(used - planned["total_bytes"]) <= 0.10 * used, (used, planned)
        if context > 1024:
            return  # the same arithmetic, and half a minute of it
        client.embeddings.create(model=harness.MODEL, input=words)
        with_embeddings = harness.memory_kib(server.worker()) * 1024
        total = planned["total_bytes"] + planned["embeddings_bytes"]
        assert abs(with_embeddings - total) <= 0.10 * with_embeddings, (with_embeddings, planned)


def test_what_does_not_fit_is_refused_with_both_figures(home):
    settings = ("--context", "8192", "--parallel", "256")
    status, planned = plan(home, *settings)
    if planned["fits"]:
        pytest.skip(f"this machine has {planned['usable_bytes']} bytes: all of it fits")
    assert status == 1
    done = harness.tacit("serve", "--model", harness.MODEL, *settings, home=home)
    assert done.returncode != 0
    assert "does not fit into memory" in done.stderr and "needed_bytes" in done.stderr, done.stderr
