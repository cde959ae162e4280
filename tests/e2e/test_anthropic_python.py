"""The `anthropic` Python package against a real server and a real model."""

import json

import anthropic
import pytest

from harness import MODEL, Server, patience

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
GREEDY = {"temperature": 0}  # the package has no such parameter any more; older ones and other clients send it
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "input_schema": {
    "type": "object", "additionalProperties": False, "required": ["city", "unit"],
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}}}}


def client(server: Server, **more) -> anthropic.Anthropic:
    return anthropic.Anthropic(**{"base_url": server.url, "api_key": server.key, "max_retries": 0, "timeout": patience(60), **more})


def ask(server: Server, **more):
    return client(server).messages.create(**{"model": MODEL, "max_tokens": 24, "extra_body": GREEDY, "messages": ASK, **more})


def test_a_message(server: Server) -> None:
    answer = ask(server, system="Answer briefly.")
    assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
    assert answer.content[0].type == "text" and answer.content[0].text
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert answer.usage.input_tokens > 5 and 1 <= answer.usage.output_tokens <= 24


def test_a_bearer_token_is_taken_too(server: Server) -> None:
    with_token = client(server, api_key=None, auth_token=server.key)
    assert with_token.messages.create(model=MODEL, max_tokens=2, messages=ASK).content


def test_the_stream_is_the_message(server: Server) -> None:
    whole = ask(server)
    with client(server).messages.stream(model=MODEL, max_tokens=24, extra_body=GREEDY, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.stop_reason == whole.stop_reason


def test_the_events_are_in_order(server: Server) -> None:
    kinds = [e.type for e in ask(server, stream=True)]
    assert kinds[0] == "message_start" and kinds[1] == "content_block_start"
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_tool_is_used_and_its_result_taken(server: Server) -> None:
    for choice in ({"type": "any", "disable_parallel_tool_use": True},
                   {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}):
        answer = ask(server, max_tokens=120, tools=[WEATHER], tool_choice=choice)
        assert answer.stop_reason == "tool_use"
        use = answer.content[-1]
        assert use.type == "tool_use" and use.name == "get_weather" and set(use.input) == {"city", "unit"}
    final = ask(server, max_tokens=40, tools=[WEATHER], tool_choice={"type": "none"}, messages=[
        *ASK, {"role": "assistant", "content": answer.model_dump()["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "21 degrees"}]}]}])
    assert final.content[0].type == "text"


def test_a_streamed_tool_use(server: Server) -> None:
    with client(server).messages.stream(model=MODEL, max_tokens=120, extra_body=GREEDY, messages=ASK, tools=[WEATHER],
                                        tool_choice={"type": "any", "disable_parallel_tool_use": True}) as stream:
        pieces = [e.delta.partial_json for e in stream if e.type == "content_block_delta" and e.delta.type == "input_json_delta"]
        final = stream.get_final_message()
    assert len(pieces) > 2 and json.loads("".join(pieces)) == final.content[-1].input
    assert final.stop_reason == "tool_use"


def test_stop_sequences(server: Server) -> None:
    free = ask(server, max_tokens=40).content[0].text
    stop = free[10:14]
    answer = ask(server, max_tokens=40, stop_sequences=["never said", stop])
    assert answer.stop_reason == "stop_sequence" and answer.stop_sequence == stop
    assert answer.content[0].text == free[:free.index(stop)]


def test_an_answer_that_was_begun_goes_on(server: Server) -> None:
    answer = ask(server, messages=[*ASK, {"role": "assistant", "content": "The weather in Paris is"}])
    assert not answer.content[0].text.startswith("The weather in Paris is")


def test_count_tokens(server: Server) -> None:
    count = client(server).messages.count_tokens(model=MODEL, messages=ASK, system="Answer briefly.")
    # What is read from the cache is not in input_tokens.
    usage = ask(server, system="Answer briefly.", max_tokens=1).usage
    assert count.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert client(server).messages.count_tokens(model=MODEL, messages=ASK, tools=[WEATHER]).input_tokens > count.input_tokens


def test_errors_are_the_packages_own(server: Server) -> None:
    with pytest.raises(anthropic.AuthenticationError) as refused:
        client(server, api_key="wrong").messages.create(model=MODEL, max_tokens=1, messages=ASK)
    assert refused.value.body["error"]["type"] == "authentication_error"
    with pytest.raises(anthropic.NotFoundError):
        ask(server, model="no-such-model")
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(server, messages=[{"role": "user", "content": "word " * 20_000}])
    assert refused.value.body["error"]["type"] == "invalid_request_error" and "limit" in refused.value.message
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(server, messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}])
    assert "messages[0].content[0].type" in refused.value.message
    with pytest.raises(anthropic.BadRequestError):
        ask(server, messages=[])
