from __future__ import annotations

import io

import msgspec
import pytest

from hca_card.pkcs11 import messages

PIN = b"123456"


def one_byte_at_a_time(content: bytes):
    stream = io.BytesIO(content)

    def read_into(memory: memoryview) -> int:
        return stream.readinto(memory[:1])

    return read_into


@pytest.mark.parametrize(
    "request_",
    [
        messages.Slots(),
        messages.Open(2**40),
        messages.Login(1, None),
        messages.Sign(1, 2, bytes(51)),
        messages.SetPin(1, None, None),
        messages.Close(1),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_request_arrives_as_it_was_sent(request_: messages.Request) -> None:
    assert messages.read_request(one_byte_at_a_time(bytes(messages.frame(request_)))) == request_


def test_a_pin_arrives_in_memory_that_can_be_wiped_and_is_never_printed() -> None:
    for sent in (
        messages.Login(1, bytearray(PIN)),
        messages.SetPin(1, bytearray(PIN), bytearray(PIN)),
        messages.Unblock(1, bytearray(PIN), bytearray(PIN)),
    ):
        got = messages.read_request(one_byte_at_a_time(bytes(messages.frame(sent))))
        assert isinstance(got, type(sent))
        assert type(got.pin) is bytearray
        assert got.pin == PIN
        assert "123456" not in repr(got) + str(got)
        messages.wipe(got.pin)
        assert bytes(got.pin) == bytes(6)
    assert "secret" not in repr(messages.Octets(b"secret"))


def test_the_end_of_the_pipe_is_the_end_wherever_it_comes() -> None:
    whole = bytes(messages.frame(messages.Open(7)))
    for length in range(len(whole)):
        assert messages.read_request(one_byte_at_a_time(whole[:length])) is None


@pytest.mark.parametrize(
    "content",
    [b"\xff\xff\xff\xff", (3).to_bytes(4, "big") + b"abc", bytes(messages.frame(messages.Done()))],
    ids=["endless", "garbage", "an answer"],
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        messages.read_request(one_byte_at_a_time(content))


def slot(**changes: object) -> messages.Slot:
    given = {"id": 1, "description": "Reader 1", "hardware": True, "label": "卡片", "serial": "0001"}
    return messages.Slot(**{**given, **changes})  # type: ignore[arg-type]


def token(**changes: object) -> messages.Token:
    given = {"label": "卡片", "serial": "0001", "flags": 0, "min_length": 6, "max_length": 8}
    return messages.Token(**{**given, **changes})  # type: ignore[arg-type]


def test_a_slot_and_a_token_arrive_as_they_were_sent() -> None:
    for answer in (
        messages.SlotList((slot(), slot(description="", label="\N{REPLACEMENT CHARACTER}"))),
        token(),
    ):
        assert messages.read_answer(one_byte_at_a_time(bytes(messages.frame(answer)))) == answer


@pytest.mark.parametrize(
    "text", ["Reader\n2026-01-01 ERROR forged", "\x1b[2J", "card\N{RIGHT-TO-LEFT OVERRIDE}", "x" * 65]
)
@pytest.mark.parametrize("answer", [messages.SlotList((slot(),)), token()], ids=["slot", "token"])
@pytest.mark.parametrize("member", ["label", "serial"])
def test_a_text_that_no_module_can_have_given_is_refused(
    text: str, answer: messages.Answer, member: str
) -> None:
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(answer))
    (raw["slots"][0] if "slots" in raw else raw)[member] = text
    content = msgspec.msgpack.encode(raw)
    with pytest.raises(msgspec.ValidationError):
        messages.read_answer(one_byte_at_a_time(len(content).to_bytes(4, "big") + content))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (messages.Slots(), messages.SlotList),
        (messages.Open(1), messages.Token),
        (messages.Certificates(1), messages.TokenCertificates),
        (messages.Sign(1, 2, b""), messages.Octets),
        (messages.Login(1, None), messages.Done),
    ],
)
def test_each_question_names_the_type_of_its_answer(question, answer):
    assert messages.answer_type(question) is answer
