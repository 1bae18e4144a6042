"""A text put into somebody's JSON file, and taken out again: the file is as it was, to the last byte."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pytest

from agent.trust import json_text

PATH = ("policies", "Certificates", "Install")
FILES = {
    "ours alone": json_text.EMPTY,
    "another key": '{"HomepageLocation": "https://a.example"}\n',
    "no line end": '{"Other":{}}',
    "half of the way": '{ "policies": {"DisableTelemetry": true } }',
    "an empty list": '{"policies": {"Certificates": {"Install": []}}}',
    "a list spread out": '{"policies": {"Certificates": {"Install": [\n  "/a.pem" ,\r\n\t"/b.pem"\n]}}}',
    "comments and last commas": (
        '// by Puppet\n{"policies": {/* ] } */ "Certificates": {"Install": ["/a.pem", // theirs\n],},}, }'
    ),
    "a mark of byte order": '\ufeff{"policies": {"Certificates": {"Install": ["/a.pem"]}}}',
    "text that looks like structure": r'{"a": "\"policies\": // {", "policies": {"x": [1.5, null, "/* */"]}}',
}


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
@pytest.mark.parametrize("values", [["v"], ["v", "/w\\\n"], ["old", "new", "newer"]])
def test_what_was_put_in_goes_without_a_trace(file: str, values: Sequence[str]) -> None:
    def listed(text: str) -> list[str]:
        held = json_text.read(text).get("policies", {}).get("Certificates", {}).get("Install", [])
        return list(held)

    filled = reduce(lambda text, value: json_text.added(text, PATH, value), values, file)
    assert listed(filled) == [*listed(file), *values]
    assert reduce(lambda text, value: json_text.without(text, PATH, value), values, filled) == file
    assert reduce(lambda text, value: json_text.without(text, PATH, value), values[::-1], filled) == file


def test_what_the_administrator_added_to_our_list_stays() -> None:
    ours = json_text.added(json_text.EMPTY, ["list"], "ours")
    assert json_text.without(ours.replace("]", ', "theirs"]'), ["list"], "ours") == '{"list": [ "theirs"]}\n'


def test_only_what_is_spelled_as_ours_goes() -> None:
    theirs = '{"list": ["https://a.example"]}'
    both = json_text.added(theirs, ["list"], "https://a.example", spelled=r'"https:\/\/a.example"')
    assert json_text.read(both) == {"list": ["https://a.example"] * 2}
    assert json_text.without(both, ["list"], "https://a.example", spelled=r'"https:\/\/a.example"') == theirs


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", '{"a"}', '{"a": 1,,}', "{1: 2}", '{"a": [1 2]}', "{} {}", "[" * 100_000]
)
def test_what_no_browser_reads_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        json_text.read(text)


@pytest.mark.parametrize("text", ['{"list": 1}', '{"list": {}}', '{"list": "x"}'])
def test_something_else_than_a_list_is_left_alone(text: str) -> None:
    with pytest.raises(json_text.ShapeError):
        json_text.added(text, ["list"], "v")
    assert json_text.without(text, ["list"], "v") == text
