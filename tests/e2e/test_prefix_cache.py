"""A tenant's computed prefix is its own: found by its key alone, and told to nobody else."""

import harness

BEGINNING = " ".join(f"Rule {i}: answer in {i % 7 + 1} words about topic {i * 37 % 101}." for i in range(60))


def ask(server: harness.Server, key: str, question: str, **more):
    client = server.client(api_key=key)
    return client.chat.completions.create(
        model=harness.MODEL, max_tokens=8, temperature=0,
        messages=[{"role": "system", "content": BEGINNING}, {"role": "user", "content": question}], **more)


def cached(answer) -> int:
    return answer.usage.prompt_tokens_details.cached_tokens


def second_key(server: harness.Server) -> str:
    made = harness.tacit("key", "create", "--name", "second", home=server.home)
    return harness.KEY_PATTERN.search(made.stdout + made.stderr).group(0)


def test_a_prefix_is_reused_by_its_tenant_alone(own_server: harness.Server):
    other = second_key(own_server)
    harness.eventually("the new key is known",
                       lambda: own_server.http(headers={"Authorization": f"Bearer {other}"})
                       .get("/v1/models").status_code == 200)
    first = ask(own_server, own_server.key, "Name a colour.")
    assert cached(first) == 0
    again = ask(own_server, own_server.key, "Name a colour.")
    assert cached(again) == again.usage.prompt_tokens - 1
    third = ask(own_server, own_server.key, "Name a colour.")
    assert third.choices[0].message.content == again.choices[0].message.content
    more = ask(own_server, own_server.key, "Name a bird.")
    assert cached(more) >= 0.9 * more.usage.prompt_tokens

    stranger = ask(own_server, other, "Name a colour.", extra_body={"prompt_cache_key": "same", "user": "same"})
    assert cached(stranger) == 0, "another tenant's prefix was used"
    assert cached(ask(own_server, other, "Name a colour.")) > 0, "and its own is there"


def test_choices_share_one_prefill(own_server: harness.Server):
    answer = ask(own_server, own_server.key, "Name a colour.", n=4)
    assert all(choice.message.content for choice in answer.choices)
    assert answer.usage.completion_tokens <= 4 * 8
    assert cached(answer) == 0, "what one choice computed for the others was not there before"
    again = ask(own_server, own_server.key, "Name a colour.", n=4)
    assert cached(again) == again.usage.prompt_tokens - 1
