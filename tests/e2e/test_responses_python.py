"""OpenAI Responses, by the `openai` Python package, against a real server and a real model."""

import json

import openai
import pydantic
import pytest

from harness import MODEL, Server

ASK = "What is the weather in Paris?"
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": True, "parameters": {
    "type": "object", "additionalProperties": False, "required": ["city", "unit"],
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}}

# A small model may talk without end; an answer with this format ends.
SHORT = {"format": {"type": "json_schema", "name": "verdict", "schema": {
    "type": "object", "additionalProperties": False, "required": ["sunny", "warm"],
    "properties": {"sunny": {"type": "boolean"}, "warm": {"type": "boolean"}}}}}


def ask(server: Server, **more):
    return server.client().responses.create(**{"model": MODEL, "input": ASK, "temperature": 0, "max_output_tokens": 24, **more})


def test_a_response(server: Server) -> None:
    answer = ask(server, instructions="Answer briefly.", metadata={"a": "b"}, max_output_tokens=200)
    assert answer.object == "response" and answer.id.startswith("resp_") and answer.error is None
    assert answer.output_text and answer.output[0].type == "message" and answer.metadata == {"a": "b"}
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    short = ask(server, max_output_tokens=3)
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
    assert short.output[0].status == "incomplete"


def test_the_stream_helper_folds_the_events(server: Server) -> None:
    whole = ask(server, max_output_tokens=200, text=SHORT)
    with server.client().responses.stream(model=MODEL, input=ASK, temperature=0, max_output_tokens=200, text=SHORT) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == whole.output_text == final.output_text
    assert final.usage == whole.usage


def test_the_events_are_in_order_and_numbered(server: Server) -> None:
    events = list(ask(server, stream=True, max_output_tokens=200, text=SHORT))
    kinds = [e.type for e in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    assert [e.sequence_number for e in events] == list(range(len(events)))


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_a_tool_is_called_and_its_output_taken(server: Server, choice) -> None:
    settings = {"tools": [WEATHER], "max_output_tokens": 120, "parallel_tool_calls": False}
    answer = ask(server, tool_choice=choice, **settings)
    call = answer.output[-1]
    assert call.type == "function_call" and call.name == "get_weather" and set(json.loads(call.arguments)) == {"city", "unit"}
    conversation = [{"role": "user", "content": ASK}, *[item.model_dump(exclude_none=True) for item in answer.output],
                    {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}]
    assert ask(server, input=conversation, tool_choice="none", **settings).output_text
    with server.client().responses.stream(model=MODEL, input=ASK, temperature=0, tool_choice=choice, **settings) as stream:
        pieces = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert len(pieces) > 2 and "".join(pieces) == call.arguments == final.output[-1].arguments


class Person(pydantic.BaseModel):
    name: str
    likes_tea: bool


def test_a_schema_is_followed(server: Server) -> None:
    answer = server.client().responses.parse(model=MODEL, input="Describe Ada as JSON.", text_format=Person, max_output_tokens=300)
    if answer.status == "completed":
        assert isinstance(answer.output_parsed, Person)


def test_what_a_stateless_server_cannot_do_is_refused(server: Server) -> None:
    for field in ({"previous_response_id": "resp_1"}, {"background": True}, {"tools": [{"type": "web_search"}]}):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(server, **field)
        assert next(iter(field)) in refused.value.message
