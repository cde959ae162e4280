"""Tools, schemas, log-probabilities, several choices, completions and embeddings, by the `openai` package."""

import base64
import json
import math
import struct

import openai
import pydantic
import pytest

from harness import MODEL, Server

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "additionalProperties": False, "required": ["city", "unit"], "properties": {
        "city": {"type": "string", "maxLength": 20}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}}}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


def complete(server: Server, **more):
    return server.client().chat.completions.create(
        **{"model": MODEL, "messages": ASK, "max_tokens": 120, "temperature": 0, **more})


def check_weather(call) -> None:
    assert call.type == "function" and call.id
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_required_tool_is_called_and_its_answer_taken(server: Server, choice) -> None:
    tools = [WEATHER] if choice == "required" else [WEATHER, CLOCK]
    answer = complete(server, tools=tools, tool_choice=choice, parallel_tool_calls=False)
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    assert len(message.tool_calls) == 1 and not message.content
    check_weather(message.tool_calls[0])
    conversation = [*ASK, message.model_dump(exclude_none=True),
                    {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"temperature": 21}'}]
    final = complete(server, messages=conversation, tools=tools, tool_choice="none")
    assert final.choices[0].message.content and not final.choices[0].message.tool_calls


def test_a_streamed_tool_call_is_the_whole_one(server: Server) -> None:
    settings = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}
    whole = complete(server, **settings).choices[0].message.tool_calls[0]
    chunks = list(complete(server, stream=True, **settings))
    pieces = [call for c in chunks for call in (c.choices[0].delta.tool_calls or [])]
    assert pieces[0].function.name == whole.function.name and pieces[0].id
    assert len(pieces) > 2, "arguments stream"
    assert "".join(p.function.arguments or "" for p in pieces) == whole.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_stream_helper_collects_tool_calls(server: Server) -> None:
    with server.client().chat.completions.stream(model=MODEL, messages=ASK, max_tokens=120, temperature=0, tools=[WEATHER],
                                                 tool_choice="required", parallel_tool_calls=False) as stream:
        final = stream.get_final_completion()
    check_weather(final.choices[0].message.tool_calls[0])


class Person(pydantic.BaseModel):
    name: str
    age: int
    likes_tea: bool


def test_a_schema_is_followed(server: Server) -> None:
    for seed in range(3):
        answer = server.client().chat.completions.parse(
            model=MODEL, messages=[{"role": "user", "content": "Describe Ada as JSON."}], response_format=Person,
            temperature=1, seed=seed, max_tokens=300)
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(answer.choices[0].message.parsed, Person)
    answer = complete(server, response_format={"type": "json_object"}, max_tokens=200)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_logprobs(server: Server) -> None:
    answer = complete(server, logprobs=True, top_logprobs=3, max_tokens=8)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 8
    assert "".join(t.token for t in tokens) == answer.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token, "temperature 0 takes the most likely"
        assert bytes(token.bytes).decode() == token.token
        assert sum(math.exp(t.logprob) for t in token.top_logprobs) <= 1.0001
    chunks = list(complete(server, logprobs=True, top_logprobs=3, max_tokens=8, stream=True))
    streamed = [t.token for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert streamed == [t.token for t in tokens]


def test_several_choices(server: Server) -> None:
    answer = complete(server, n=3, temperature=1.2, seed=5, max_tokens=12)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert len({c.message.content for c in answer.choices}) > 1
    chunks = list(complete(server, n=2, temperature=1.2, seed=5, max_tokens=12, stream=True,
                           stream_options={"include_usage": True}))
    texts = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts[0] == answer.choices[0].message.content
    assert chunks[-1].usage.completion_tokens > 12


def test_a_bias_forbids(server: Server) -> None:
    first = complete(server, logprobs=True, max_tokens=1)
    token = server.client().completions.create(model=MODEL, prompt="x", max_tokens=1)
    assert token.choices[0].text is not None
    word = first.choices[0].message.content
    with server.http() as http:
        tokens = http.post("/tokenize", json={"content": word, "model": MODEL}).json().get("tokens", [])
    if len(tokens) == 1:
        other = complete(server, max_tokens=1, logit_bias={str(tokens[0]): -100})
        assert other.choices[0].message.content != word


def test_completions(server: Server) -> None:
    client = server.client()
    one = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0, logprobs=2)
    assert one.object == "text_completion" and one.choices[0].finish_reason == "length"
    assert "".join(one.choices[0].logprobs.tokens) == one.choices[0].text
    streamed = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0, stream=True)
    assert "".join(c.choices[0].text for c in streamed) == one.choices[0].text
    two = client.completions.create(model=MODEL, prompt=["Once upon a time", "The sea"], max_tokens=8, temperature=0, echo=True)
    assert two.choices[0].text == "Once upon a time" + one.choices[0].text
    assert two.choices[1].text.startswith("The sea") and two.usage.completion_tokens == 16


def test_embeddings(server: Server) -> None:
    client = server.client()
    texts = ["a cat sat on the mat", "a cat sat on a mat", "quarterly revenue fell by nine percent"]
    plain = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    vectors = [e.embedding for e in plain.data]
    assert [e.index for e in plain.data] == [0, 1, 2]
    assert all(abs(sum(x * x for x in v) - 1) < 1e-3 for v in vectors)
    def likeness(a, b):
        return sum(x * y for x, y in zip(a, b))
    assert likeness(vectors[0], vectors[1]) > likeness(vectors[0], vectors[2])
    assert plain.usage.prompt_tokens > 10
    packed = client.embeddings.create(model=MODEL, input=texts[0])  # the package asks for base64
    assert all(abs(x - y) < 1e-5 for x, y in zip(packed.data[0].embedding, vectors[0]))
    with server.http() as http:
        raw = http.post("/v1/embeddings", json={"model": MODEL, "input": texts[0], "encoding_format": "base64", "dimensions": 64})
    values = base64.b64decode(raw.json()["data"][0]["embedding"])
    assert len(struct.unpack(f"<{len(values) // 4}f", values)) == 64


@pytest.mark.parametrize("field, value", [
    ("audio", {"voice": "x"}), ("web_search_options", {"user_location": None}), ("modalities", ["audio"]),
    ("tools", [{"type": "custom", "custom": {"name": "x"}}]), ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}),
])
def test_what_is_not_offered_is_refused_by_name(server: Server, field, value) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        complete(server, **({field: value} if field != "web_search_options" else {"extra_body": {field: {"a": 1}}}))
    if field != "response_format":
        assert field in refused.value.message


def test_unknown_fields_are_accepted(server: Server) -> None:
    assert complete(server, max_tokens=2, extra_body={"no_such_field": {"a": [1]}, "prompt_cache_key": "k"}).choices
