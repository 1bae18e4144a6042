from __future__ import annotations

import json

import pytest

from agent.demo.application_form import canonical_text, prepare
from agent.demo.errors import PortalError
from agent.demo.people import ImitatedSite, LoginRole, LoginWay, SignedIn

ORIGIN = "https://portal.example.test:8443"
FIELDS = {
    "place": "示範區衛生所",
    "firstDay": "2030-03-01",
    "lastDay": "2030-03-02",
    "begins": "09:00",
    "ends": "12:30",
}


@pytest.fixture
def who() -> SignedIn:
    return SignedIn(
        ImitatedSite.EUSERVICE,
        LoginWay.NATIVE,
        LoginRole.PERSONNEL,
        "測試人員卡",
        ("醫師", "Physician"),
        "000000335361",
    )


def test_the_signed_text_says_everything_the_person_filled_in(who: SignedIn) -> None:
    application = prepare(FIELDS, who, origin=ORIGIN)
    assert json.loads(application.document) == {
        "申辦項目": "報備支援",
        "案號": application.number,
        "申請人": "測試人員卡",
        "支援地點": "示範區衛生所",
        "支援日期": "2030-03-01 至 2030-03-02",
        "支援時間": "09:00 至 12:30",
        "受理網站": ORIGIN,
    }


def test_the_same_facts_are_the_same_bytes_whatever_their_order() -> None:
    one = canonical_text({"b": "é", "a": "診"})
    other = canonical_text({"a": "診", "b": "e\N{COMBINING ACUTE ACCENT}"})
    assert one == other == '{"a":"診","b":"é"}'.encode()


def test_two_applications_are_never_the_same_text(who: SignedIn) -> None:
    assert prepare(FIELDS, who, origin=ORIGIN).document != prepare(FIELDS, who, origin=ORIGIN).document


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("place", "", id="no place"),
        pytest.param("place", "   ", id="a blank place"),
        pytest.param("place", "所" * 61, id="a place too long"),
        pytest.param("place", "所\n以", id="two lines"),
        pytest.param("place", "所\N{RIGHT-TO-LEFT OVERRIDE}以", id="text that hides its order"),
        pytest.param("place", "\ud800", id="half a surrogate pair"),
        pytest.param("place", ["所"], id="a list"),
        pytest.param("place", None, id="null"),
        pytest.param("firstDay", "2030-02-30", id="no such day"),
        pytest.param("firstDay", "2030-03-03", id="ends before it begins"),
        pytest.param("lastDay", "2031-03-02", id="a year of support"),
        pytest.param("begins", "12:30", id="no time at all"),
        pytest.param("ends", "25:00", id="no such hour"),
        pytest.param("ends", "12:30+08:00", id="a time zone"),
    ],
)
def test_a_form_that_makes_no_sense_is_sent_back(who: SignedIn, member: str, value: object) -> None:
    with pytest.raises(PortalError, match=r"form\.incomplete"):
        prepare(FIELDS | {member: value}, who, origin=ORIGIN)
