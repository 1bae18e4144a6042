"""What is done with stores: look, install, remove; each store on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from agent.errors import AgentError, ErrorId
from agent.trust.authority import Authority, OwnAuthorities
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore

Announce = Callable[[SystemPrompt], None]
"""Told of every prompt of the system before it appears."""


class TrustState(StrEnum):
    """Whether a store's programs accept the agent's certificate, and why not."""

    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"
    """It is there, but not trusted for web servers."""
    STALE = "stale"
    """Only a certificate of ours that was replaced, or that belongs to another folder, is there."""
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """The store could not be looked into."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What is known of one store.

    Attributes:
        others: certificates of ours that are there beside the current one.
        changed: whether this call added or removed anything.
        error: why the call did not do all it should.
    """

    store: TrustStore
    state: TrustState
    others: tuple[Authority, ...] = ()
    changed: bool = False
    error: Exception | None = None

    @property
    def accepted(self) -> bool:
        """Whether the store's programs accept the agent's certificate."""
        return self.state is TrustState.TRUSTED

    @property
    def clean(self) -> bool:
        """Whether nothing of ours is there."""
        return self.state is TrustState.ABSENT


def status(stores: Iterable[TrustStore], known: OwnAuthorities) -> tuple[StoreReport, ...]:
    """Return what each store trusts; nothing is changed."""
    return tuple(_Work(store, known).report() for store in stores)


def install(
    stores: Iterable[TrustStore], known: OwnAuthorities, announce: Announce
) -> tuple[StoreReport, ...]:
    """Have the current CA trusted everywhere, then take out those that it replaced.

    Args:
        stores: where.
        known: the certificates of the agent's folder.
        announce: called before the system's prompts.

    Raises:
        ValueError: if the agent has no CA yet.
    """
    if known.current is None:
        raise ValueError("there is nothing to install")
    return tuple(_Work(store, known, announce).report(_Work.install) for store in stores)


def remove(
    stores: Iterable[TrustStore], known: OwnAuthorities, announce: Announce
) -> tuple[StoreReport, ...]:
    """Take out every CA of ours of that scope; where users share a store, those of this folder alone."""
    return tuple(_Work(store, known, announce).report(_Work.remove) for store in stores)


class _Work:
    """One store, and what happened to it."""

    def __init__(self, store: TrustStore, known: OwnAuthorities, announce: Announce = lambda _: None) -> None:
        self._store = store
        self._known = known
        self._announce = announce
        self._changed = False

    def report(self, do: Callable[[_Work], None] = lambda _: None) -> StoreReport:
        """Do it, and report what the store is like then; no failure leaves this store's report."""
        error: Exception | None = None
        try:
            do(self)
        except Exception as failure:
            error = failure
        try:
            found = self._ours()
        except Exception as failure:
            return StoreReport(self._store, TrustState.UNKNOWN, (), self._changed, error or failure)
        others = tuple(each.authority for each in found if each.authority != self._known.current)
        return StoreReport(self._store, self._state(found), others, self._changed, error)

    def install(self) -> None:
        current = self._known.current
        if current is None:
            return
        found = self._ours()
        if self._state(found) is not TrustState.TRUSTED:
            self._prepare(adding=True)
            self._store.add(current, self._known.file)
            self._changed = True
            if self._state(self._ours()) is not TrustState.TRUSTED:
                detail = f"{self._store.location}: not trusted afterwards"
                raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=detail)
        self._take_out(each for each in found if self._is_replaced(each.authority))

    def remove(self) -> None:
        self._take_out(self._ours())
        if self._ours():
            raise AgentError(ErrorId.TRUST_STILL_THERE, detail=self._store.location)

    def _take_out(self, unwanted: Iterable[FoundAuthority]) -> None:
        for each in unwanted:
            self._prepare(adding=False)
            self._store.remove(each)
            self._changed = True

    def _prepare(self, *, adding: bool) -> None:
        prompt = self._store.prompt(adding=adding)
        if prompt is not None:
            self._announce(prompt)

    def _ours(self) -> list[FoundAuthority]:
        """Return what concerns this agent: in a shared store, another user's agent is left alone."""
        return [
            each
            for each in self._store.find()
            if each.authority.scope == self._known.scope
            and (
                not self._store.shared
                or each.authority == self._known.current
                or self._is_replaced(each.authority)
            )
        ]

    def _is_replaced(self, authority: Authority) -> bool:
        """Return whether nobody needs it: this folder has another now, or its time was over before that.

        What the clock says now takes nothing out: it may be wrong for a day.
        """
        current = self._known.current
        if authority == current:
            return False
        return authority in self._known.former or (
            current is not None and authority.not_after < current.not_before
        )

    def _state(self, found: list[FoundAuthority]) -> TrustState:
        current = [each for each in found if each.authority == self._known.current]
        if any(each.trusted for each in current):
            return TrustState.TRUSTED
        if current:
            return TrustState.DISTRUSTED
        return TrustState.STALE if found else TrustState.ABSENT
