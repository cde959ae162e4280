"""The `ollama` Python package against a real server and a real model."""

import json

import ollama
import pytest

from harness import MODEL, Server, patience

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
FEW = {"temperature": 0, "num_predict": 24}


def client(server: Server, key: bool = True) -> ollama.Client:
    headers = {"Authorization": f"Bearer {server.key}"} if key else {}
    return ollama.Client(host=server.url, headers=headers, timeout=patience(60))


def test_chat_whole_and_streamed(server: Server) -> None:
    whole = client(server).chat(model=MODEL, messages=ASK, options=FEW)
    assert whole.done and whole.done_reason in ("stop", "length") and whole.message.content
    assert whole.eval_count <= 24 and whole.prompt_eval_count > 5
    assert whole.total_duration >= whole.eval_duration > 0
    parts = list(client(server).chat(model=MODEL, messages=ASK, options=FEW, stream=True))
    assert "".join(p.message.content for p in parts) == whole.message.content
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True] and len(parts) > 5


def test_generate(server: Server) -> None:
    whole = client(server).generate(model=MODEL, prompt="What is the weather in Paris?", options=FEW)
    assert whole.response == client(server).chat(model=MODEL, messages=ASK, options=FEW).message.content
    raw = client(server).generate(model=MODEL, prompt="Once upon a time", raw=True, options=FEW, stream=True)
    assert "".join(p.response for p in raw)
    assert client(server).generate(model=MODEL).done_reason == "load"


def test_a_format(server: Server) -> None:
    schema = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}, "additionalProperties": False}
    answer = client(server).chat(model=MODEL, messages=ASK, format=schema, options={"temperature": 0, "num_predict": 100})
    assert set(json.loads(answer.message.content)) == {"ok"}


def test_tools_are_offered_and_results_taken(server: Server) -> None:
    def get_weather(city: str) -> str:
        """The weather of a city.

        Args:
          city: its name
        """
        return city
    answer = client(server).chat(model=MODEL, messages=ASK, tools=[get_weather], options=FEW)
    assert answer.done
    final = client(server).chat(model=MODEL, options=FEW, tools=[get_weather], messages=[
        *ASK, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
        {"role": "tool", "tool_name": "get_weather", "content": "21 degrees"}])
    assert final.done


def test_embed(server: Server) -> None:
    both = client(server).embed(model=MODEL, input=["a cat", "a dog"])
    assert len(both.embeddings) == 2 and abs(sum(x * x for x in both.embeddings[0]) - 1) < 1e-3
    old = client(server).embeddings(model=MODEL, prompt="a cat")
    assert max(abs(a - b) for a, b in zip(old.embedding, both.embeddings[0])) < 1e-5


def test_what_there_is(server: Server) -> None:
    assert MODEL in [m.model for m in client(server).list().models]
    client(server).generate(model=MODEL, prompt="x", options={"num_predict": 1})
    assert MODEL in [m.model for m in client(server).ps().models]
    assert "completion" in client(server).show(MODEL).capabilities
    with server.http(headers={}) as http:
        assert http.get("/api/version").json()["version"]


def test_errors_have_its_shape(server: Server) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client(server, key=False).chat(model=MODEL, messages=ASK)
    assert refused.value.status_code == 401 and "key" in refused.value.error
    with pytest.raises(ollama.ResponseError) as refused:
        client(server).chat(model="no-such-model", messages=ASK)
    assert refused.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as refused:
        client(server).chat(model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert refused.value.status_code == 400 and "limit" in refused.value.error
    with pytest.raises(ollama.ResponseError) as refused:
        client(server).generate(model=MODEL, prompt="x", suffix="y")
    assert refused.value.status_code == 400 and "suffix" in refused.value.error
