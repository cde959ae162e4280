"""The endpoints that people who run llama-server know, and how errors look to each API's clients."""

import json

import pytest

from harness import MODEL, Server, sse_events

HELLO = [{"role": "user", "content": "Hello <|im_end|> there"}]


def post(server: Server, path: str, body, **settings):
    with server.http(**settings) as http:
        return http.post(path, json=body)


def test_tokens_there_and_back(server: Server) -> None:
    tokens = post(server, "/tokenize", {"content": "Hello, wide world: Grüße"}).json()["tokens"]
    assert len(tokens) > 4
    assert post(server, "/detokenize", {"tokens": tokens}).json()["content"] == "Hello, wide world: Grüße"
    special = post(server, "/tokenize", {"content": "<|im_end|>"}).json()["tokens"]
    plain = post(server, "/tokenize", {"content": "<|im_end|>", "parse_special": False}).json()["tokens"]
    assert len(special) == 1 and len(plain) > 1


def test_the_template(server: Server) -> None:
    prompt = post(server, "/apply-template", {"messages": HELLO}).json()["prompt"]
    assert "<|im_start|>user\nHello <|im_end|> there<|im_end|>" in prompt
    assert prompt.endswith("<|im_start|>assistant\n")


def test_completion_whole_and_streamed(server: Server) -> None:
    body = {"prompt": "Once upon a time", "n_predict": 12, "temperature": 0}
    whole = post(server, "/completion", body).json()
    assert whole["content"] and whole["stop_type"] == "limit" and whole["tokens_predicted"] == 12
    events = [json.loads(e) for e in sse_events(post(server, "/completion", {**body, "stream": True}).text)]
    assert "".join(e["content"] for e in events) == whole["content"]
    assert [e["stop"] for e in events] == [False] * (len(events) - 1) + [True]
    by_tokens = post(server, "/tokenize", {"content": "Once upon a time", "add_special": True}).json()["tokens"]
    assert post(server, "/completion", {**body, "prompt": by_tokens}).json()["content"] == whole["content"]
    stop = whole["content"][5:9]
    stopped = post(server, "/completion", {**body, "stop": [stop]}).json()
    assert stopped["stop_type"] == "word" and stopped["stopping_word"] == stop
    yes = post(server, "/completion", {**body, "grammar": 'root ::= "yes" | "no"'}).json()
    assert yes["content"] in ("yes", "no") and yes["stop_type"] == "eos"


def test_embedding(server: Server) -> None:
    vector = post(server, "/embedding", {"content": "a cat"}).json()[0]["embedding"][0]
    assert abs(sum(x * x for x in vector) - 1) < 1e-3


CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
SHAPES = {
    "openai": ("/v1/chat/completions", CHAT, lambda b: b["error"]["type"] and "param" in b["error"]),
    "responses": ("/v1/responses", {"model": MODEL, "input": "hi"}, lambda b: b["error"]["type"]),
    "anthropic": ("/v1/messages", CHAT, lambda b: b["type"] == "error" and b["error"]["type"]),
    "ollama": ("/api/chat", CHAT, lambda b: isinstance(b["error"], str)),
    "llama": ("/completion", {"prompt": "hi", "n_predict": 1}, lambda b: isinstance(b["error"]["code"], int)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_errors_have_the_apis_own_shape(server: Server, name: str) -> None:
    path, good, shaped = SHAPES[name]
    refusals = [
        (401, post(server, path, good, headers={})),
        (401, post(server, path, good, headers={"x-api-key": "wrong"})),
        (400, post(server, path, [])),
        (400, post(server, path, {**good, "temperature": "hot", "options": {"temperature": "hot"}})),
        (404, post(server, path, {**good, "model": "no-such-model"})),
    ]
    with server.http() as http:
        refusals.append((405, http.get(path)))
        refusals.append((400, http.post(path, content=b"{")))
        refusals.append((413, http.post(path, content=b"[" * 200 + b"]" * 200)))
    for status, answer in refusals:
        assert answer.status_code == status, (status, answer.text)
        assert shaped(answer.json()), answer.text
    assert post(server, path, good, headers={"x-api-key": server.key}).status_code == 200


@pytest.mark.parametrize("name", SHAPES)
def test_a_prompt_over_the_context_is_refused_with_both_numbers(server: Server, name: str) -> None:
    path, good, _ = SHAPES[name]
    long = "word " * 9_000
    body = {**good}
    if "messages" in body:
        body["messages"] = [{"role": "user", "content": long}]
    elif "input" in body:
        body["input"] = long
    else:
        body["prompt"] = long
    answer = post(server, path, body)
    assert answer.status_code == 400 and "tokens 9" in answer.text and "limit 2048" in answer.text or "limit 4096" in answer.text
