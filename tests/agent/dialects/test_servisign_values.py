"""Values that pages leave for each other: for whom, for how long, and how many."""

from __future__ import annotations

import pytest

from agent.dialects.servisign.codes import FrameworkError
from agent.dialects.servisign.shared_values import (
    IN_ALL,
    OF_STRANGERS,
    PER_ORIGIN,
    VALUE_MAX,
    SharedValue,
    SharedValues,
)
from agent.places import Rank
from tests.support.servisign_page import Page, Text

A, B, EVIL = "https://a.example.tw", "https://b.example.tw", "https://evil.example"


@pytest.fixture
def values(clock):
    return SharedValues(lambda origin: Rank.STRANGER if "flood" in origin else Rank.ALLOWED, clock)


def put(values, origin=A, channel="c", sites="", seconds=60, text="v"):
    values.put(origin, channel, sites, seconds, text)


@pytest.mark.parametrize(
    ("sites", "origin", "readable"),
    [
        ("b.example.tw", B, True),
        ("b.example.tw", "https://b.example.tw:8443", True),
        ("B.Example.TW", B, True),
        ("https://b.example.tw", B, True),
        ("https://b.example.tw/", B, True),
        ("https://b.example.tw", "https://b.example.tw:8443", False),
        ("b.example.tw:8443", "https://b.example.tw:8443", True),
        ("b.example.tw:8443", B, False),
        ("a.example.tw;b.example.tw", B, True),
        ("a.example.tw, b.example.tw", B, True),
        ("a.example.tw|b.example.tw", B, True),
        ("example.tw", B, False),
        ("b.example.tw", "https://x.b.example.tw", False),
        ("b.example.tw", "https://b.example.tw.evil.example", False),
        ("[::1]", "https://[::1]:8443", True),
        ("", A, True),
        ("", B, False),
        ("b.example.tw", A, False),
    ],
)
def test_a_value_is_for_the_hosts_in_its_list_and_never_for_parts_of_them(values, sites, origin, readable):
    put(values, sites=sites)
    assert values.get(origin, "c") == ("v" if readable else "")


@pytest.mark.parametrize(
    "sites", ["*", "*.example.tw", "https://user@b.example.tw", "b/path", "例.tw", "a " * 33]
)
def test_a_list_that_cannot_be_read_is_refused(values, sites):
    with pytest.raises(FrameworkError) as caught:
        put(values, sites=sites)
    assert caught.value.code == 61005


@pytest.mark.parametrize(("seconds", "lives"), [(60, 60), (1, 1), (0, 3600), (-5, 3600), (10_000_000, 3600)])
def test_a_value_lives_for_its_seconds_and_never_longer_than_an_hour(values, clock, seconds, lives):
    put(values, seconds=seconds)
    clock.now += lives - 0.5
    assert values.get(A, "c") == "v"
    clock.now += 1
    assert values.get(A, "c") == ""


def test_an_empty_value_takes_away_what_was_there(values):
    put(values)
    put(values, text="")
    assert values.get(A, "c") == ""


def test_sites_of_one_list_answer_each_other_on_one_channel(values):
    put(values, sites="a.example.tw b.example.tw", text="question")
    put(values, origin=B, sites="a.example.tw", text="answer")
    assert values.get(A, "c") == "answer"


def test_a_site_that_lists_others_uninvited_does_not_replace_their_value(values):
    put(values, sites="a.example.tw b.example.tw", text="ours")
    put(values, origin=EVIL, sites="a.example.tw b.example.tw evil.example", text="theirs")
    assert [values.get(origin, "c") for origin in (A, B, EVIL)] == ["ours", "ours", "theirs"]


@pytest.mark.parametrize(("channel", "text"), [("", "v"), ("c" * 129, "v"), ("c", "v" * (VALUE_MAX + 1))])
def test_what_is_too_long_is_refused(values, channel, text):
    with pytest.raises(FrameworkError) as caught:
        put(values, channel=channel, text=text)
    assert caught.value.code == 61005


def test_one_origin_and_all_together_have_so_many_and_living_ones_stay(values, clock):
    for number in range(PER_ORIGIN):
        put(values, channel=str(number))
    with pytest.raises(FrameworkError) as caught:
        put(values, channel="one more")
    assert caught.value.code == 61010
    put(values, channel="0", text="replaced")
    assert values.get(A, "0") == "replaced"
    for number in range(IN_ALL - PER_ORIGIN):
        put(values, origin=f"https://other{number}.example")
    with pytest.raises(FrameworkError):
        put(values, origin=B)
    clock.now += 61
    put(values, origin=B)
    assert values.get(B, "c") == "v"


def test_values_of_strangers_end_for_others_and_no_others_end_for_theirs(values):
    put(values)
    for number in range(IN_ALL * 2):
        put(values, origin=f"https://flood{number}.example", channel=str(number % 3))
    assert values.get(A, "c") == "v"
    assert values.get(f"https://flood{IN_ALL * 2 - 1}.example", str((IN_ALL * 2 - 1) % 3)) == "v"
    living = sum(map(len, values._channels.values()))
    assert living == OF_STRANGERS + 1 == len(values._place_of)
    for number in range(IN_ALL - 1):
        put(values, origin=f"https://other{number}.example")
    assert sum(map(len, values._channels.values())) == IN_ALL
    with pytest.raises(FrameworkError):
        put(values, origin="https://flood0.example", channel="new")


def test_what_ended_leaves_no_place_behind(values, clock):
    put(values)
    put(values, text="replaced")
    put(values, origin=B, channel="d")
    put(values, origin=B, channel="d", text="")
    assert len(values._place_of) == 1
    clock.now += 61
    assert values.get(A, "c") == "" and not values._place_of


@pytest.mark.parametrize("sites", ["", "evil.example", "https://evil.example:8443, evil.example:99999"])
async def test_a_site_that_nobody_allowed_leaves_values_for_its_own_host(dialect, operations, sites):
    operations.strangers.add(EVIL)
    page = Page(dialect.handle, EVIL)
    await page.echo()
    members = {"channel": Text("c"), "domain_list": Text(sites), "timeout": 60, "value": Text("v")}
    assert await page.call("setServiSignValue", **members) == "0"
    assert not operations.asked


@pytest.mark.parametrize(
    "sites", ["b.example.tw", "evil.example b.example.tw", "https://b.example.tw:8443", "x.evil.example"]
)
async def test_a_site_that_nobody_allowed_leaves_no_value_for_another(dialect, operations, sites):
    operations.strangers.add(EVIL)
    writer, reader = Page(dialect.handle, EVIL), Page(dialect.handle, B)
    for page in (writer, reader):
        await page.echo()
    members = {"channel": Text("c"), "domain_list": Text(sites), "timeout": 60, "value": Text("fixed")}
    assert await writer.call("setServiSignValue", **members) == "61906"
    assert await reader.call("getServiSignValue", channel=Text("c")) == ""
    assert operations.asked == ["permit read"]
    operations.strangers.clear()  # the person says yes
    assert await writer.call("setServiSignValue", **members) == "0"


def test_a_value_never_prints(clock):
    assert "secret" not in repr(SharedValue(A, frozenset(), 0.0, "secret"))


@pytest.mark.parametrize("generation", [2020, 2022])
async def test_pages_reach_the_values_by_wire(dialect, generation):
    writer, reader, stranger = (Page(dialect.handle, each, generation=generation) for each in (A, B, EVIL))
    for page in (writer, reader, stranger):
        await page.echo()
    members = {"channel": Text("c"), "domain_list": Text("b.example.tw"), "timeout": 60, "value": Text("值")}
    assert await writer.call("setServiSignValue", **members, value_ServiSignHide=True) == "0"
    read = [await page.call("getServiSignValue", channel=Text("c")) for page in (writer, reader, stranger)]
    assert read == ["", "值", ""]


async def test_values_need_a_session_of_the_callers_own(dialect, page):
    thief = Page(dialect.handle, EVIL)
    thief.session_id = page.session_id
    assert await thief.call("getServiSignValue", channel=Text("c")) == "61012"
    assert await thief.call("setServiSignValue", channel=Text("c"), value=Text("v")) == "61012"
    assert await page.call("setServiSignValue", channel=Text("c"), timeout=Text("soon")) == "61005"
