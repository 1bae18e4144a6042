"""All that is said and written of a trace, cleaned of every PIN that was seen in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hca_card.probe.draft import Draft
from hca_card.traces.drafting import draft
from hca_card.traces.explaining import Sentence, explain
from hca_card.traces.failures import out_of_reach
from hca_card.traces.imported import Imported
from hca_card.traces.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of a trace, to be shown and written as it is.

    Attributes:
        sentences: what was understood, Chinese and English.
        notes: what was wrong with the trace.
        drafted: the draft of a profile.
        copy: the masked copy of what was said, JSON lines.
    """

    sentences: tuple[Sentence, ...]
    notes: tuple[Sentence, ...]
    drafted: Draft
    copy: str


def report(imported: Imported, number: int | None = None, atr: bytes = b"") -> Report:
    """Return the report on one card of what was imported.

    Args:
        imported: the traces.
        number: of the card; None for the only one that was worked with.
        atr: its answer to reset, where the trace does not tell it.

    Raises:
        TraceError: as `Imported.choose`.
    """
    return out_of_reach(lambda: _report(imported, number, atr))


def _report(imported: Imported, number: int | None, atr: bytes) -> Report:
    traced, clean = imported.choose(number), imported.secrets.clean
    if atr:
        traced.name(atr)
    return Report(
        tuple((clean(zh), clean(en)) for zh, en in explain(traced.card, traced.understood)),
        tuple(imported.notes),
        _cleaned(draft(traced.card, traced.understood), imported.secrets),
        clean(traced.recorder.text()),
    )


def _cleaned(drafted: Draft, secrets: Secrets) -> Draft:
    """Return a draft in which no PIN stands; one that needs those very bytes can no longer be used."""
    text = secrets.clean(drafted.text)
    if text == drafted.text:
        return drafted
    why = "a part of it looks like the PIN, and is left out"
    return replace(drafted, text=f"# {why}\n{text}", complete=False, missing=(*drafted.missing, why))
