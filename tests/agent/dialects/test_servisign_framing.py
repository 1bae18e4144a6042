import base64
import json
import re
from urllib.parse import quote

import pytest

from agent.dialects.servisign.codes import FrameworkError
from agent.dialects.servisign.framing import ECHO_NAMES, PageRequest, decode_request, encode_reply
from tests.support.servisign_page import Page, Text, body_of, marked, reply_of


def members(**arguments: object) -> PageRequest:
    return decode_request(body_of({"functionname": "ATL_Test", "sessionid": "s"} | arguments))


def raw(text: bytes) -> bytes:
    return b"Parameter=" + base64.b64encode(text).replace(b"+", b"%2B").replace(b"=", b"%3D")


async def nobody(_origin: str, _body: bytes) -> bytes:
    raise AssertionError


ECHO = (
    '{"functionname":"Echo","comname":"","libdir":"","sessionid":"","ServiSignTabMode":0,'
    '"ServiSignBrowser":"Chrome","JSVersion":"1.0.18.1219","minlibversion":"0.0.0.0",'
    '"minserverversion":"0.0.0.0","InstallerName":"HCAServiSignAdapterSetup",'
    '"PathID":"6BD4EA2493354E298DD0B09B72A5EA59","ServiSignJSGenTime":"2020-03-10 13:29:41",'
    '"AdapterJsonKeyCheck":true}'
)


def test_the_recorded_echo_is_understood():
    request = decode_request(raw(ECHO.encode()))
    assert request.function == "Echo"
    assert request.function in ECHO_NAMES
    assert request.session_id == ""
    assert not request.per_browser


def test_the_recorded_call_is_understood():
    request = decode_request(
        raw(
            b'{"functionname":"ATL_InitSession","ulModuleHandle":"1","iFlags":6,'
            b'"userPin_ServiSignBase64Flag":true,"userPin":"MTIzNDU2","ServiSignFunctionIndex":2}'
        )
    )
    assert request.number("ulModuleHandle") == 1
    assert request.number("iFlags") == 6
    pin = request.take_secret("userPin")
    assert pin is not None
    assert pin.octets == b"123456"


@pytest.mark.parametrize("generation", [2020, 2022])
@pytest.mark.parametrize(
    "value", ["HCAPKCS11.dll", "", "醫事人員卡 \U0001f600", "a+b/c==", "%41", "x" * 5000]
)
def test_a_text_argument_comes_back_as_the_page_had_it(generation: int, value: str):
    page = Page(nobody, generation=generation)
    request = decode_request(body_of(page.request("ATL_Test", moduleName=Text(value))))
    assert request.text("moduleName") == value


def test_the_inner_value_is_percent_encoded_too():
    request = members(moduleName_ServiSignBase64Flag=True, moduleName="SENBUEtDUzExLmRsbA%3D%3D")
    assert request.text("moduleName") == "HCAPKCS11.dll"


def test_inner_base64_that_is_not_percent_encoded_is_read_as_well():
    plain = base64.b64encode("ÿ~?>".encode()).decode()
    assert "+" in plain or "/" in plain
    assert members(a_ServiSignBase64Flag=True, a=plain).text("a") == "ÿ~?>"


@pytest.mark.parametrize(
    ("value", "number"),
    [(6, 6), ("6", 6), (" 6 ", 6), (6.0, 6), ("", 0), (None, 0), ("undefined", 0), (0, 0), ("-1", -1),
     (4294967295, 4294967295), ("+7", 7)],
)  # fmt: skip
def test_numbers_are_read_raw_and_as_text(value: object, number: int):
    assert members(iFlags=value).number("iFlags") == number


@pytest.mark.parametrize("value", ["6", "", "undefined", "64"])
def test_numbers_are_read_marked_as_the_newer_template_sends_them(value: str):
    request = members(iFlags_ServiSignBase64Flag=True, iFlags=marked(value))
    assert request.number("iFlags") == (int(value) if value.isdigit() else 0)


def test_an_absent_number_is_zero_and_an_absent_text_empty():
    request = members()
    assert request.number("ulModuleHandle") == 0
    assert request.text("b64Cert") == ""
    assert request.take_secret("userPin") is None


@pytest.mark.parametrize(
    "value",
    ["abc", "0x40", "1e3", 1.5, True, [], {}, [6], "9" * 17, 4294967296, -2147483649, "６", "--1", "+"],
)
def test_what_is_no_number_of_this_protocol_is_a_bad_parameter(value: object):
    with pytest.raises(FrameworkError, match="61005"):
        members(iFlags=value).number("iFlags")


@pytest.mark.parametrize("value", [True, False, [], {}, ["a"], {"a": 1}, 1.5])
def test_what_is_no_text_is_a_bad_parameter(value: object):
    with pytest.raises(FrameworkError, match="61005"):
        members(dn=value).text("dn")


@pytest.mark.parametrize("value", ["*", "a", "%%%", "%ZZ", "gA%3D%3D", "7aCA", "AAAA=AAA"])
def test_a_marked_text_that_is_no_base64_of_utf8_is_a_bad_parameter(value: str):
    # "gA==" is 80, which UTF-8 never begins with; "7aCA" is a surrogate, which UTF-8 never holds.
    with pytest.raises(FrameworkError, match="61005"):
        members(dn_ServiSignBase64Flag=True, dn=value).text("dn")


@pytest.mark.parametrize("flag", [False, None, 0, "false", "", [], {}])
def test_a_flag_that_is_not_set_leaves_the_value_as_it_is(flag: object):
    assert members(dn_ServiSignBase64Flag=flag, dn="QQ==").text("dn") == "QQ=="


def test_backslashes_come_back_from_their_escapes():
    request = members(a_ServiSignSlashFlag=True, a="C:==ServiSignSlash==x", b_servisignflag=True, b="C:*x")
    assert request.text("a") == request.text("b") == "C:\\x"


def test_nul_and_line_breaks_in_a_text_are_only_characters():
    assert members(a_ServiSignBase64Flag=True, a=marked("a\0b\r\n")).text("a") == "a\0b\r\n"


HOSTILE = {
    "empty": b"",
    "no field": b"x=y",
    "another field's name": b"XParameter=e30%3D",
    "empty field": b"Parameter=",
    "no base64": b"Parameter=%%%%",
    "base64 of another alphabet": b"Parameter=eyJf-_8",
    "padding in the middle": b"Parameter=e30=e30=",
    "no UTF-8": raw(b"\xff\xfe"),
    "overlong UTF-8": raw(b'{"functionname":"\xc0\x80"}'),
    "a byte order mark": raw(b'\xef\xbb\xbf{"functionname":"Echo"}'),
    "no JSON": raw(b"functionname"),
    "half a JSON": raw(b'{"functionname":"Echo"'),
    "two JSONs": raw(b'{"functionname":"Echo"}{}'),
    "an array": raw(b'["Echo"]'),
    "a number": raw(b"1"),
    "null": raw(b"null"),
    "NaN": raw(b'{"functionname":"Echo","x":NaN}'),
    "infinity": raw(b'{"functionname":"Echo","x":-Infinity}'),
    "a number of a million digits": raw(b'{"functionname":"Echo","x":' + b"9" * 1_000_000 + b"}"),
    "arrays in arrays": raw(b'{"functionname":"Echo","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "objects in objects": raw(b'{"x":' * 100_000),
    "no function": raw(b"{}"),
    "an empty function": raw(b'{"functionname":""}'),
    "a function that is a number": raw(b'{"functionname":1}'),
    "a function that is null": raw(b'{"functionname":null}'),
    "a function that is a list": raw(b'{"functionname":["Echo"]}'),
    "a function that never ends": raw(b'{"functionname":"' + b"a" * 1000 + b'"}'),
    "a lone surrogate as function": raw(b'{"functionname":"\\ud800"}'),
    "a lone surrogate as session": raw(b'{"functionname":"Echo","sessionid":"\\udfff"}'),
    "a session that never ends": raw(b'{"functionname":"Echo","sessionid":"' + b"a" * 1000 + b'"}'),
    "a session that is an object": raw(b'{"functionname":"Echo","sessionid":{}}'),
    "a control character in a text": raw(b'{"functionname":"Ec\x00ho"}'),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_a_bad_parameter(body: bytes):
    with pytest.raises(FrameworkError, match="61005"):
        decode_request(body)


def test_a_lone_surrogate_in_an_argument_is_a_bad_parameter():
    with pytest.raises(FrameworkError, match="61005"):
        decode_request(raw(b'{"functionname":"ATL_Test","dn":"\\ud83d","userPin":"739155"}'))


def test_unknown_members_of_any_shape_are_ignored():
    assert members(x={"deep": [1, {"er": None}]}, y=2.5).function == "ATL_Test"


def test_other_form_fields_around_the_parameter_are_ignored():
    assert decode_request(b"a=b&" + raw(b'{"functionname":"Echo"}') + b"&c=d").function in ECHO_NAMES


def test_a_number_beyond_every_float_is_a_bad_parameter():
    with pytest.raises(FrameworkError, match="61005"):
        decode_request(raw(b'{"functionname":"ATL_Test","iFlags":1e999}'))


@pytest.mark.parametrize("mode", [1, "1", "MQ=="])
def test_tab_mode_one_is_told_in_every_shape(mode: object):
    assert members(ServiSignTabMode=mode).per_browser


def test_a_pin_leaves_the_request_and_is_in_no_repr():
    request = members(userPin_ServiSignBase64Flag=True, userPin=marked("739155"))
    pin = request.take_secret("userPin")
    assert pin is not None
    assert pin.octets == b"739155"
    assert "userPin" not in request.members
    assert "739155" not in repr(request) + repr(pin)
    assert marked("739155") not in repr(request) + json.dumps(request.members)


def test_a_pin_that_no_card_takes_is_named_by_nothing():
    request = members(userPin_ServiSignBase64Flag=True, userPin=marked("密碼739155"))
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        request.take_secret("userPin")
    assert "739155" not in str(caught.value)
    assert "userPin" not in request.members


def test_a_reply_begins_and_ends_with_braces_and_its_values_are_base64():
    body = encode_reply("醫事", ServerVersion="1.0.23.1227")
    assert body.startswith(b'{"result":"')
    assert body.endswith(b'"}')
    assert body.isascii()
    assert reply_of(body) == {"result": "醫事", "ServerVersion": "1.0.23.1227"}


def test_a_lone_surrogate_in_an_answer_does_not_break_the_reply():
    assert reply_of(encode_reply("a\ud800b")) == {"result": "a?b"}


@pytest.mark.parametrize("escaped", [str.upper, str.lower])
def test_a_text_full_of_what_base64_escapes_is_read(escaped):
    text = "\u00ff\u00fe?>~" * 5000
    argument = quote(base64.b64encode(text.encode()).decode(), safe="")
    assert argument.count("%") > 1024
    argument = re.sub("%..", lambda found: escaped(found[0]), argument)
    assert members(b64Data=argument, b64Data_ServiSignBase64Flag=True).text("b64Data") == text


@pytest.mark.parametrize(
    "body",
    [
        b"Parameter=" + b"%41" * 2000,
        raw(b'{"functionname":"x","a":[' + b"[]," * 2000 + b"[]]}"),
        raw(b'{"functionname":"x","a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    ],
    ids=["escapes that no base64 needs", "many arrays", "deep arrays"],
)
def test_what_no_adapter_writes_is_refused_before_it_takes_long(body):
    with pytest.raises(FrameworkError) as caught:
        decode_request(body)
    assert caught.value.code == 61005


def test_an_argument_full_of_escapes_is_refused_too():
    request = members(dn="%41" * 2000, dn_ServiSignBase64Flag=True)
    with pytest.raises(FrameworkError):
        request.text("dn")
