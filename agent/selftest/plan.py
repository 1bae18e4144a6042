"""Which rows a self-test has, in which order."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from agent.selftest import (
    card_rows,
    certificate_rows,
    certificate_status,
    host_ports,
    host_readers,
    host_system,
)
from agent.selftest.model import Probe


class Variant(StrEnum):
    """Which rows of the HCA page are run."""

    ORDINARY = "ordinary"
    """一般讀卡機: fourteen rows."""
    NHI_READER = "nhi-reader"
    """健保專用讀卡機: thirteen rows."""


def plan(variant: Variant = Variant.ORDINARY) -> tuple[Probe, ...]:
    """All rows: the computer first, then the card, then its certificates."""
    ordinary = variant is Variant.ORDINARY
    rows = card_rows.HCA_ROWS if ordinary else card_rows.NHI_ROWS
    found = "hca.init" if ordinary else "nhi.port"
    certificates = (
        replace(probe, needs=(found, *probe.needs))
        for probe in (*certificate_rows.PROBES, *certificate_status.PROBES)
    )
    return (
        *host_system.BASICS,
        host_ports.ENVIRONMENT,
        *host_readers.PROBES,
        *host_ports.PROBES,
        *host_system.PROBES,
        card_rows.PIN_ROW,
        *rows,
        *certificates,
    )
