"""The endpoint against a real server on loopback, well-behaved and not: every trouble has an end and a reason."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.descriptions.writing import endpoint as endpoint_module
from core.descriptions.writing.answers import UnusableAnswer
from core.descriptions.writing.budget import Budget, Caps, Prices, Reached
from core.descriptions.writing.endpoint import Endpoint
from core.descriptions.writing.messages import ClassRequest, class_request
from core.descriptions.writing.prompts import read_prompt
from core.descriptions.writing.writer import ClassWriting, Spent, Stopped, WriterAway, write_class
from core.errors import InvalidOption
from core.settings import Settings
from tests.language_model_server import Call, Served, drip, flood, language_model, sentences, well

KEY = "sk-secret-0123456789"
CLASSES = ["melanoma", "naevus"]


@pytest.fixture
def server() -> Iterator[Served]:
    with language_model() as served:
        yield served


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "FIRST_PAUSE_S", 0.01)


def settings(server: Served, **values: Any) -> Settings:
    values = {"llm_timeout_s": 5, "llm_api_key": KEY, "llm_model": "writer-1"} | values
    return Settings(llm_base_url=server.address, **values)


def asked(name: str = "melanoma", n: int = 4, **values: Any) -> ClassRequest:
    return class_request(read_prompt("visible_features"), name, CLASSES, n=n, modality="dermatoscopy", **values)


def write(server: Served, writing: ClassWriting | None = None, caps: Caps | None = None, **values: Any) -> ClassWriting:
    """One class written, through all tries."""
    writing = writing or ClassWriting()
    chosen = settings(server, **values)
    caps = caps or Caps(100, 1_000_000)
    with_endpoint = Endpoint(chosen, Budget(caps))
    try:
        write_class(with_endpoint, asked(), writing)
    finally:
        with_endpoint.close()
    return writing


def test_sentences_come_and_what_was_sent_is_what_the_request_says(server: Served) -> None:
    writing = write(server)
    assert writing.read is not None
    assert list(writing.read.sentences) == sentences("melanoma", 4)
    (call,) = server.calls
    assert call.path == "/v1/chat/completions"
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.body["messages"] == list(asked().messages)
    # byte for byte: the messages stand in the body as they were shown
    assert json.dumps(list(asked().messages), ensure_ascii=False).encode() in call.raw
    assert {name: call.body[name] for name in ("model", "temperature", "max_tokens", "stream")} == {
        "model": "writer-1",
        "temperature": 0.7,
        "max_tokens": 4000,
        "stream": False,
    }
    assert call.body["response_format"]["json_schema"]["schema"]["properties"]["class"]["enum"] == ["melanoma"]
    assert writing.spent == Spent(1, 100, 50, 0.0)


def test_no_key_no_authorization(server: Served) -> None:
    write(server, llm_api_key=None)
    assert "Authorization" not in server.calls[0].headers


@pytest.mark.parametrize(
    ("refusal", "left_out", "instead"),
    [
        ("response_format json_schema is not supported", ["response_format"], {}),
        ("'max_tokens' is not supported, use 'max_completion_tokens'", ["max_tokens"], {"max_completion_tokens": 4000}),
        ("'temperature' does not support 0.7", ["temperature"], {}),
        ("something is wrong", ["response_format"], {}),
    ],
)
def test_a_server_that_knows_less_is_asked_in_a_simpler_way(
    server: Served, refusal: str, left_out: list[str], instead: dict[str, Any]
) -> None:
    def pick(call: Call) -> None:
        if any(name in call.body for name in left_out):
            call.send(400, json.dumps({"error": {"message": refusal}}).encode())
        else:
            well(call)

    server.react = pick
    found = Endpoint(settings(server), Budget(Caps(100, 1_000_000)))
    for name in CLASSES:
        write_class(found, asked(name), ClassWriting())
    found.close()
    assert len(server.calls) == 3, "it is remembered for the next class"
    assert all(name not in server.calls[-1].body for name in left_out)
    assert instead.items() <= server.calls[-1].body.items()
    assert found.settings["held_to_schema"] is ("response_format" not in left_out)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_trouble_is_waited_out(server: Served, status: int) -> None:
    server.react = lambda call: call.send(status, b"busy") if call.number < 2 else well(call)
    assert write(server).spent.requests == 3


def test_retry_after_is_kept_to(server: Served) -> None:
    server.react = lambda call: call.send(429, b"", Retry_After="1") if call.number == 0 else well(call)
    begun = time.monotonic()
    write(server)
    assert 1.0 <= time.monotonic() - begun < 4.0


@pytest.mark.parametrize(
    ("status", "headers", "requests", "found", "stop"),
    [
        (429, {}, 5, "it has too many requests (429), 5 times in a row", False),
        (500, {}, 5, "it is in trouble (500), 5 times in a row", False),
        (429, {"Retry_After": "3600"}, 1, "it has too many requests (429), and asks to wait 3600 s", False),
        (401, {}, 1, "it refuses the key or its account (401)", True),
        (404, {}, 1, "it knows no such address or model (404), model 'writer-1'", True),
        (302, {"Location": "http://127.0.0.1:9/"}, 1, "it leads to another address (302)", True),
        (307, {"Location": "/v1/chat/completions"}, 1, "it leads to another address (307)", True),
        (418, {}, 1, "it refuses the request (418): no tea", False),
    ],
)
def test_a_lasting_trouble_ends_with_its_reason(
    server: Served, status: int, headers: dict[str, str], requests: int, found: str, stop: bool
) -> None:
    server.react = lambda call: call.send(status, b'{"error": {"message": "no tea"}}', **headers)
    writing = ClassWriting()
    with pytest.raises(WriterAway) as error:
        write(server, writing)
    assert error.value.found == found
    assert error.value.stop is stop
    assert len(server.calls) == requests
    assert writing.spent == Spent(requests, 0, 0, 0.0)
    assert writing.read is None


@pytest.mark.parametrize("headers", [False, True])
def test_an_answer_that_drips_ends_when_its_time_is_over(server: Served, headers: bool) -> None:
    server.react = lambda call: drip(call, headers=headers)
    begun = time.monotonic()
    with pytest.raises(WriterAway, match=r"not whole after 0.4 s, 2 times in a row"):
        write(server, llm_timeout_s=0.4)
    assert time.monotonic() - begun < 3
    assert len(server.calls) == 2


def test_silence_ends_when_the_time_is_over(server: Served) -> None:
    over = threading.Event()
    server.react = lambda call: over.wait(20)
    with pytest.raises(WriterAway, match=r"not whole after 0.3 s, 2 times in a row"):
        write(server, llm_timeout_s=0.3)
    over.set()


@pytest.mark.parametrize("announced", [True, False])
def test_ten_megabytes_are_cut_off(server: Served, announced: bool) -> None:
    server.react = lambda call: flood(call, announced=announced)
    with pytest.raises(WriterAway, match="larger than any answer needs, and was cut off"):
        write(server)
    assert len(server.calls) == 1


def test_a_compressed_answer_is_not_unpacked(server: Served) -> None:
    import gzip

    server.react = lambda call: call.send(200, gzip.compress(b"x" * 10_000_000), Content_Encoding="gzip")
    with pytest.raises(WriterAway, match="compressed, which nobody asked for"):
        write(server)
    assert server.calls[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b'{"choices": []}', b'{"choices": [{"message"', b"[" * 100_000, b"\xff\xfe", b"7"]
)
def test_an_answer_of_another_protocol_is_named(server: Served, body: bytes) -> None:
    server.react = lambda call: call.send(200, body)
    with pytest.raises(WriterAway, match="none of this protocol, or not whole, 5 times"):
        write(server)


def test_half_an_answer_is_asked_for_again(server: Served) -> None:
    def half(call: Call) -> None:
        if call.number == 0:
            call.handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices": [')
        else:
            well(call)

    server.react = half
    assert write(server).spent.requests == 2


def test_nobody_there_ends_the_whole_work(server: Served) -> None:
    with language_model() as gone:
        pass
    with pytest.raises(WriterAway, match="nobody answers there, 5 times in a row") as error:
        write(gone)
    assert error.value.stop is True


def test_answers_of_no_use_are_asked_for_three_times_and_kept_to_be_seen(server: Served) -> None:
    server.react = lambda call: call.say('{"class": "naevus", "sentences": ["A naevus is brown and round."]}')
    writing = ClassWriting()
    with pytest.raises(UnusableAnswer, match="it is about 'naevus'"):
        write(server, writing)
    assert len(server.calls) == 3
    assert len({call.raw for call in server.calls}) == 1, "the same is asked each time"
    assert [each["reason"] for each in writing.unusable] == ["it is about 'naevus'"] * 3
    assert writing.as_dict()["sentences"] == []


def test_an_answer_that_was_cut_by_the_model_says_so(server: Served) -> None:
    server.react = lambda call: call.say('{"class": "melanoma", "sentences": ["A mela', finish="length")
    with pytest.raises(UnusableAnswer, match=r"breaks off \(the model ended by 'length'\)"):
        write(server)


@pytest.mark.parametrize("content", [None, [], [{"type": "text", "text": "?"}], 7, {"a": 1}])
def test_odd_contents_are_unusable_answers(server: Served, content: Any) -> None:
    server.react = lambda call: call.say(content)
    with pytest.raises(UnusableAnswer):
        write(server)


def test_a_stop_is_heard_at_once_while_the_server_is_silent(server: Served) -> None:
    over, stop = threading.Event(), threading.Event()
    server.react = lambda call: over.wait(20)
    found = Endpoint(settings(server), Budget(Caps(9, 10**6)), stopped=stop.is_set)
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        found.ask(asked(), 0, Spent())
    assert time.monotonic() - begun < 2
    over.set()
    found.close()


def test_a_stop_is_heard_in_a_pause(server: Served) -> None:
    stop = threading.Event()
    server.react = lambda call: call.send(429, b"", Retry_After="50")
    found = Endpoint(settings(server), Budget(Caps(9, 10**6)), stopped=stop.is_set)
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        found.ask(asked(), 0, Spent())
    assert time.monotonic() - begun < 2
    found.close()


def test_the_cap_on_requests_holds_through_all_repeats(server: Served) -> None:
    server.react = lambda call: call.send(500, b"")
    with pytest.raises(Reached, match="At most 3 requests for one task"):
        write(server, caps=Caps(3, 10**6))
    assert len(server.calls) == 3


def test_the_caps_on_tokens_and_cost_leave_room_before_they_are_passed(server: Served) -> None:
    with pytest.raises(Reached, match="At most 4100 tokens for one task"):
        write(server, caps=Caps(9, 4100))
    with pytest.raises(Reached, match=r"A cost of at most 0\.1 for one task"):
        write(server, caps=Caps(9, 10**6, 0.1, Prices(10.0, 30.0)))
    assert server.calls == []
    dear = write(server, caps=Caps(9, 10**6, 0.2, Prices(10.0, 30.0)))
    assert dear.spent == Spent(1, 100, 50, 100 * 10e-6 + 50 * 30e-6)


def test_requests_at_once_never_pass_a_cap_together() -> None:
    budget, own = Budget(Caps(2, 10**6)), Spent()
    with budget.room(10, 10, own) as first, budget.room(10, 10, own):
        with pytest.raises(Reached), budget.room(10, 10, own):
            raise AssertionError("there was no room")
        first.tokens_out = 1
    assert budget.spent == Spent(2, 20, 11, 0.0) == own


def test_a_cap_on_cost_without_prices_is_refused() -> None:
    with pytest.raises(InvalidOption, match="A cap on cost needs prices"):
        Caps(1, 1, 0.5)


def test_usage_that_cannot_be_is_judged_by_length(server: Served) -> None:
    server.react = lambda call: call.say(
        json.dumps({"class": "melanoma", "sentences": sentences("melanoma", 4)}),
        {"prompt_tokens": -5, "completion_tokens": True},
    )
    spent = write(server).spent
    assert 300 < spent.tokens_in < 1000
    assert 50 < spent.tokens_out < 300


def test_the_key_is_nowhere_but_in_the_header(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.DEBUG)
    heard: list[str] = []

    def echo(call: Call) -> None:
        said = f"A melanoma is dark {call.headers['Authorization']} and round."
        if call.number == 0:
            call.send(400, json.dumps({"error": {"message": f"your key {KEY} and response_format"}}).encode())
        elif call.number == 1:
            call.send(500, KEY.encode())
        else:
            call.say(json.dumps({"class": "melanoma", "sentences": [said]}))

    server.react = echo
    found = Endpoint(settings(server), Budget(Caps(9, 10**6)), told=heard.append)
    writing = ClassWriting()
    write_class(found, asked(), writing)
    found.close()
    server.react = lambda call: call.send(418, f"key {KEY}".encode())
    with pytest.raises(WriterAway) as error:
        write(server)
    everything = [*heard, str(writing.as_dict()), str(found.settings), str(error.value.as_dict()), caplog.text]
    assert all(KEY not in text for text in everything)
    assert KEY not in repr(settings(server))
    assert "Bearer [key]" in str(writing.as_dict())
    assert heard[0] == "the endpoint answered 400; asking in a simpler way"


def test_a_short_word_as_key_is_no_secret_and_stays_in_sentences(server: Served) -> None:
    server.react = lambda call: call.say(
        json.dumps({"class": "melanoma", "sentences": ["A melanoma is like none of the others here."]})
    )
    assert write(server, llm_api_key="none").as_dict()["sentences"] == ["A melanoma is like none of the others here."]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_not_used_for_what_lies_near(
    server: Served, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert write(server).spent.requests == 1


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("ftp://127.0.0.1/v1", "found no http or https address"),
        ("127.0.0.1:8000/v1", "found no http or https address"),
        ("http://", "found no http or https address"),
        ("http://user:pw@127.0.0.1/v1", "found a name, a password or parameters"),
        ("https://example.org/v1?key=abc", "found a name, a password or parameters"),
        ("http://8.8.8.8/v1", "found http for '8.8.8.8'"),
        ("http://127.0.0.1\n/v1", "found control characters"),
        ("http://[::1", "found none"),
    ],
)
def test_an_unfit_address_is_refused_before_anything_is_sent(address: str, found: str) -> None:
    chosen = Settings(llm_base_url=address, llm_model="m", llm_api_key=KEY)
    with pytest.raises(InvalidOption) as error:
        Endpoint(chosen, Budget(Caps(1, 1)))
    assert found in error.value.sentence
    assert "pw" not in error.value.sentence
    assert "abc" not in error.value.sentence


def test_plain_http_to_another_network_needs_leave() -> None:
    chosen = Settings(llm_base_url="http://8.8.8.8/v1/chat/completions", llm_model="m", llm_allow_http=True)
    found = Endpoint(chosen, Budget(Caps(1, 1)))
    found.close()
    assert found.settings["address"] == "http://8.8.8.8/v1/chat/completions"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, "PROMPTOSCOPE_LLM_BASE_URL is not set"),
        ({"llm_base_url": "http://127.0.0.1/v1"}, "PROMPTOSCOPE_LLM_MODEL is not set"),
        ({"llm_base_url": "http://127.0.0.1/v1", "llm_model": "m", "llm_api_key": "a\nb"}, "holds letters, digits"),
    ],
)
def test_missing_settings_are_named(values: dict[str, Any], found: str) -> None:
    none = {"llm_base_url": None, "llm_model": None, "llm_api_key": None}
    with pytest.raises(InvalidOption) as error:
        Endpoint(Settings(**none | values), Budget(Caps(1, 1)))
    assert found in error.value.sentence
