"""What comes from the broker is what it should be, or it is refused in words before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from agent.audit import AuditRow
from agent.batch.choice import Choice
from agent.broker.messages import Failed, Job, Signed, card_key, name_fault, packed, read_job, read_outcome
from agent.errors import AgentError, ErrorId
from agent.vocabulary import Verb
from signing.formats import SignatureFormat

BATCH = "0123456789abcdef" * 2
NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)


def job(**changes: Any) -> Job:
    members: dict[str, Any] = {
        "batch": BATCH,
        "number": 1,
        "name": "病歷.xml",
        "choice": Choice(format=SignatureFormat.CADES),
        "made": NOW,
        "document": b"document",
    }
    return Job(**{**members, **changes})


def tampered(**changes: Any) -> bytes:
    members = msgspec.to_builtins(job(), builtin_types=(bytes, datetime))
    return msgspec.msgpack.encode({**members, **changes})


def test_a_job_comes_as_it_went() -> None:
    assert read_job(packed(job()), batch=BATCH) == job()


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": "f" * 32},
        {"batch": "../" + "a" * 29},
        {"number": 0},
        {"number": 10**12},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "../../etc/passwd"},
        {"name": "C:\\windows\\win.ini"},
        {"name": ".."},
        {"name": "a\nb"},
        {"name": "a\x1b[2Jb"},
        {"name": "gpj.\u202eexe"},
        {"version": 2},
        {"choice": {}},
        {"choice": {"format": "zip"}},
        {"choice": {"format": "cades", "level": "B-X"}},
        {"choice": {"format": "cades", "level": "B-LTA"}},
        {"choice": {"format": "cades", "hash": "SHA-1"}},
        {"choice": {"format": "cades", "page": 1}},
        {"choice": {"format": "cades", "content": b"x"}},
        {"choice": {"format": "pkcs1", "reason": "x"}},
        {"made": datetime(2026, 11, 29, 8)},
        {"document": "text"},
        {"origin": "https://portal.example.tw"},
        {"pin": "123456"},
    ],
    ids=str,
)
def test_jobs_that_are_not_as_they_should_be_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(AgentError) as info:
        read_job(tampered(**changes), batch=BATCH)
    assert info.value.error_id is ErrorId.JOB_INVALID


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91" * 2000, b"{}", packed(job())[:-1]], ids=repr)
def test_what_is_no_message_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(AgentError) as info:
        read_job(data, batch=BATCH)
    assert info.value.error_id is ErrorId.JOB_INVALID
    with pytest.raises(AgentError) as info:
        read_outcome(data)
    assert info.value.error_id is ErrorId.JOB_OUTCOME


def test_an_item_is_the_same_work_whenever_it_is_put_and_another_for_any_difference() -> None:
    later = job(made=datetime(2026, 12, 1, tzinfo=UTC))
    others = [
        job(number=2),
        job(name="other.xml"),
        job(document=b"Document"),
        job(choice=Choice(format=SignatureFormat.CMS)),
        job(batch="f" * 32),
    ]
    assert later.item == job().item
    assert len({each.item for each in [job(), *others]}) == 6


def test_an_outcome_comes_as_it_went() -> None:
    row = AuditRow(
        time=NOW, origin=None, verb=Verb.SIGN, card="••••5678", certificate="1f", result="ok", simulated=True
    )
    signed = Signed(item=job().item, document=b"signed", certificate=b"der", digest=bytes(32), audit=row)
    assert read_outcome(packed(signed)) == signed


@pytest.mark.parametrize(
    "time",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, tzinfo=UTC),
        datetime(2026, 1, 1),
    ],
)
def test_a_row_whose_time_is_none_does_not_come_into_the_audit_log(time: datetime) -> None:
    """Nobody could read the log any more: the last evening of the calendar is none in Taiwan."""
    row = AuditRow(
        time=time, origin=None, verb=Verb.SIGN, card="", certificate="", result="ok", simulated=False
    )
    with pytest.raises(AgentError) as info:
        read_outcome(packed(Failed(item=job().item, error="internal", audit=row)))
    assert info.value.error_id is ErrorId.JOB_OUTCOME


@pytest.mark.parametrize("mark", ["\u061c", "\u00ad", "\u2064", "\U000e0041", "\ufff9"])
def test_a_name_has_no_letter_that_is_not_seen(mark: str) -> None:
    assert name_fault(f"gnp{mark}.exe")


def test_a_card_is_known_by_nothing_that_says_whose_it_is() -> None:
    assert card_key(b"certificate") == card_key(b"certificate") != card_key(b"another")
    assert len(card_key(b"certificate")) == 32


def test_names_of_real_files_are_names() -> None:
    assert [name_fault(name) for name in ("病歷 1.pdf", ".hidden", "a..b", "x" * 255)] == [""] * 4
