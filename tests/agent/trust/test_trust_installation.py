"""Installing, removing and looking, over stores that behave and stores that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import tls
from agent.errors import AgentError, ErrorId
from agent.trust import (
    FoundAuthority,
    OwnAuthorities,
    SystemPrompt,
    TrustState,
    install,
    own_authorities,
    remove,
    status,
)
from tests.support.trust import Shelf, current, made


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    """A current authority, and one that it replaced."""
    tls.ensure(tmp_path / "tls", now=datetime.now(UTC) - timedelta(days=790))
    return made(tmp_path / "tls")


@pytest.fixture
def foreign(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "another agent")


def quietly(prompt: SystemPrompt) -> None:
    raise AssertionError(prompt)


def test_installing_twice_changes_nothing_the_second_time(ours: OwnAuthorities) -> None:
    shelf = Shelf()
    (first,) = install([shelf], ours, quietly)
    (second,) = install([shelf], ours, quietly)
    assert first.accepted and first.changed
    assert second.accepted and not second.changed
    assert shelf.changes == [f"add {current(ours).name}"]


def test_the_replaced_authority_goes_after_the_new_one_came(ours: OwnAuthorities) -> None:
    shelf = Shelf(held=[FoundAuthority(ours.former[0], trusted=True)])
    assert status([shelf], ours)[0].state is TrustState.STALE
    (row,) = install([shelf], ours, quietly)
    assert shelf.changes == [f"add {current(ours).name}", f"remove {ours.former[0].name}"]
    assert row.accepted and row.others == ()


def test_the_authority_of_another_folder_survives_an_installation(
    ours: OwnAuthorities, foreign: OwnAuthorities
) -> None:
    shelf = Shelf(held=[FoundAuthority(current(foreign), trusted=True)])
    (row,) = install([shelf], ours, quietly)
    assert row.accepted and row.others == (foreign.current,)


def test_an_authority_that_has_expired_is_taken_out_whoever_made_it(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    tls.ensure(tmp_path / "lost", now=datetime.now(UTC) - timedelta(days=900))
    lost = current(own_authorities(tmp_path / "lost"))
    shelf = Shelf(held=[FoundAuthority(lost, trusted=True)])
    install([shelf], ours, quietly)
    assert [each.authority for each in shelf.held] == [ours.current]


def test_removing_takes_out_all_that_is_ours_from_this_users_stores(
    ours: OwnAuthorities, foreign: OwnAuthorities
) -> None:
    everything = (current(ours), *ours.former, current(foreign))
    shelf = Shelf(held=[FoundAuthority(each, trusted=True) for each in everything])
    (row,) = remove([shelf], ours, quietly)
    assert shelf.held == [] and row.clean and row.changed
    (again,) = remove([shelf], ours, quietly)
    assert again.clean and not again.changed


def test_removing_leaves_other_users_alone_where_a_store_is_shared(
    ours: OwnAuthorities, foreign: OwnAuthorities
) -> None:
    both = (current(ours), current(foreign))
    shelf = Shelf(shared=True, held=[FoundAuthority(each, trusted=True) for each in both])
    assert status([shelf], ours)[0].others == ()
    (row,) = remove([shelf], ours, quietly)
    assert row.clean
    assert [each.authority for each in shelf.held] == [foreign.current]


def test_one_that_is_there_without_trust_is_trusted_by_installing(ours: OwnAuthorities) -> None:
    shelf = Shelf(held=[FoundAuthority(current(ours), trusted=False)])
    assert status([shelf], ours)[0].state is TrustState.DISTRUSTED
    assert install([shelf], ours, quietly)[0].accepted


def test_a_store_that_fails_does_not_hide_the_others(ours: OwnAuthorities) -> None:
    stores = [Shelf(fails=AgentError(ErrorId.TRUST_DECLINED)), Shelf(blind=OSError("disk")), Shelf()]
    rows = install(stores, ours, quietly)
    assert [row.state for row in rows] == [TrustState.ABSENT, TrustState.UNKNOWN, TrustState.TRUSTED]
    assert isinstance(rows[0].error, AgentError) and isinstance(rows[1].error, OSError)
    assert rows[2].error is None


def test_an_addition_that_had_no_effect_is_an_error(ours: OwnAuthorities) -> None:
    (row,) = install([Shelf(trusting=False)], ours, quietly)
    assert row.state is TrustState.DISTRUSTED
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.tool_failed"


def test_a_removal_that_had_no_effect_is_an_error(ours: OwnAuthorities) -> None:
    class Sticky(Shelf):
        def remove(self, found: FoundAuthority) -> None:
            pass

    (row,) = remove([Sticky(held=[FoundAuthority(current(ours), trusted=True)])], ours, quietly)
    assert not row.clean
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.still_there"


def test_prompts_are_announced_before_they_appear_and_only_then(ours: OwnAuthorities) -> None:
    shelf = Shelf(asks=True, held=[FoundAuthority(ours.former[0], trusted=True)])

    def announce(prompt: SystemPrompt) -> None:
        shelf.changes.append(prompt.en)

    install([shelf], ours, announce)
    install([shelf], ours, announce)
    remove([shelf], ours, announce)
    remove([shelf], ours, announce)
    now, before = current(ours).name, ours.former[0].name
    assert shelf.changes == [
        "will ask to add",
        f"add {now}",
        "will ask to remove",
        f"remove {before}",
        "will ask to remove",
        f"remove {now}",
    ]


def test_looking_changes_nothing(ours: OwnAuthorities) -> None:
    shelf = Shelf(asks=True, held=[FoundAuthority(ours.former[0], trusted=True)])
    status([shelf], ours)
    assert shelf.changes == []


def test_without_a_certificate_everything_is_absent_and_nothing_can_be_installed(tmp_path: Path) -> None:
    nothing = own_authorities(tmp_path)
    assert status([Shelf()], nothing)[0].state is TrustState.ABSENT
    with pytest.raises(ValueError, match="nothing to install"):
        install([Shelf()], nothing, quietly)
