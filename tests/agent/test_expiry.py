"""The end of a certificate is said where people look, from 60 days before it on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.errors import AgentError, ErrorId, describe
from agent.expiry import STAGES, Urgency, expiry
from agent.interaction import ConsentQuestion
from hca_card.model import CardKind
from signing.hashes import Hash
from tests.support.agent import running_agent
from tests.support.cards import RenewableCard
from tests.support.operations import NONCE, OTHER, OWN, PORTAL, World, agent
from tests.support.time_zone import in_taiwan

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)  # 12:00 in Taiwan
RENEWAL = "醫事憑證到期線上插卡換發"


@pytest.mark.parametrize(
    ("left", "urgency", "zh", "en"),
    [
        (timedelta(days=60, seconds=1), None, "", ""),
        (timedelta(days=60), Urgency.SOON, "還有 60 天到期（2026-05-03）", "in 60 days (2026-05-03)"),
        (timedelta(days=14, seconds=1), Urgency.SOON, "還有 14 天", "in 14 days"),
        (timedelta(days=14), Urgency.NEAR, "還有 14 天", "in 14 days"),
        (timedelta(days=1, hours=1), Urgency.NEAR, "還有 1 天", "in 1 day ("),
        (timedelta(days=1), Urgency.LAST_DAY, "明天 12:00", "tomorrow at 12:00"),
        (timedelta(hours=11, minutes=59), Urgency.LAST_DAY, "今天 23:59", "today at 23:59"),
        (timedelta(0), Urgency.LAST_DAY, "今天 12:00", "today at 12:00"),
        (timedelta(seconds=-1), Urgency.ENDED, "憑證已經過期。", "The certificate has expired."),
    ],
)
def test_what_is_said_at_each_stage(left: timedelta, urgency: Urgency | None, zh: str, en: str) -> None:
    with in_taiwan():
        told = expiry(NOON + left, CardKind.PERSONNEL, NOON)
    assert (told and told.urgency) == urgency
    if told is not None:
        assert zh in told.zh and en in told.en
        assert RENEWAL in told.next_zh and RENEWAL in told.next_en
        assert told.pressing is (urgency is not Urgency.SOON)


def test_the_stages_are_60_14_and_1_days() -> None:
    assert [before.days for before in STAGES.values()] == [1, 14, 60]


def test_an_expired_one_is_told_in_the_words_of_the_table_of_errors() -> None:
    told, row = expiry(NOON, CardKind.INSTITUTION), describe(AgentError(ErrorId.CERTIFICATE_EXPIRED))
    assert told is not None
    assert (told.zh, told.en, told.next_zh, told.next_en) == (row.zh, row.en, row.next_zh, row.next_en)


@pytest.mark.parametrize("kind", [CardKind.CITIZEN, CardKind.PKCS15])
@pytest.mark.parametrize("days", [30, -1])
def test_nobody_is_sent_to_hca_with_a_card_of_somebody_else(kind: CardKind, days: int) -> None:
    told = expiry(NOON + timedelta(days=days), kind, NOON)
    assert told is not None and "hca" not in f"{told.next_zh}{told.next_en}"


def test_nothing_is_said_of_an_end_that_is_not_known() -> None:
    assert expiry(None, CardKind.PERSONNEL) is None


# ---------------------------------------------------------------- where it is said


async def test_the_windows_for_pin_and_consent_are_told(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-ends-soon") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        await world.operations.sign(OTHER, Hash.SHA_256, document=b"a")
        pin = world.pins_asked()[-1]
        assert pin.card.expiry is not None and pin.card.expiry.urgency is Urgency.NEAR
        first, second = consents(world)
        # No command is sent for a consent: it can say what earlier work has found, and no more.
        assert first.ending is None
        assert second.ending is not None and second.ending.expiry == pin.card.expiry
        world.reader.remove()


async def test_a_certificate_that_lasts_is_told_nowhere(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        await world.operations.sign(OTHER, Hash.SHA_256, document=b"a")
        assert world.pins_asked()[-1].card.expiry is None
        assert [question.ending for question in consents(world)] == [None, None]


def consents(world: World) -> list[ConsentQuestion]:
    assert world.person is not None
    return [question for question in world.person.questions if isinstance(question, ConsentQuestion)]


async def test_a_renewed_card_is_spoken_of_no_longer(tmp_path: Path) -> None:
    async with agent(tmp_path, "") as world:
        card = RenewableCard()
        world.reader.insert(card)
        assert (await world.operations.card(OWN)).ends is not None
        activity = world.operations.activity
        [known] = activity.cards
        activity.certificate_revoked(known.certificate, True)
        assert activity.ending() is not None and activity.cards[0].revoked
        card.renew()
        await world.operations.card(OWN)
        assert activity.ending() is None and not activity.cards[0].revoked


async def test_pages_and_programs_are_told_by_the_native_api(tmp_path: Path) -> None:
    async with running_agent(tmp_path, ["hpc-ends-soon"]) as one, one.page() as page:
        card = await page.call("card.read")
        told = card["expiry"]
        assert (told["urgency"], told["daysLeft"]) == ("near", 10)
        assert "還有 10 天到期" in told["zh"] and RENEWAL in told["next"]["zh"]
        listed = (await page.call("certificates.list"))["certificates"]
        assert {each["use"] for each in listed if "expiry" in each} == {"signature", "encryption"}
        assert [each["expiry"] for each in listed if each["use"] == "signature"] == [told]
        assert (await page.call("authenticate", nonce=NONCE))["format"]


async def test_of_a_certificate_that_lasts_the_native_api_says_nothing(tmp_path: Path) -> None:
    async with running_agent(tmp_path, ["hpc"]) as one, one.page() as page:
        assert (await page.call("card.read"))["expiry"] is None
        listed = (await page.call("certificates.list"))["certificates"]
        assert not [each for each in listed if "expiry" in each]
