"""Which rows a self-test has, in which order."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.selftest import (
    card_rows,
    certificate_rows,
    certificate_status,
    host_modules,
    host_nhi,
    host_ports,
    host_readers,
    host_system,
)
from agent.selftest.model import Probe

if TYPE_CHECKING:
    from agent.config import Config


class Variant(StrEnum):
    """Which rows of the HCA page are run."""

    ORDINARY = "ordinary"
    """一般讀卡機: fourteen rows."""
    NHI_READER = "nhi-reader"
    """健保專用讀卡機: thirteen rows."""


def plan(variant: Variant = Variant.ORDINARY, config: Config | None = None) -> tuple[Probe, ...]:
    """All rows: the computer first, then the card, then its certificates.

    Args:
        variant: which rows of the HCA page.
        config: which dialects are served; None is what holds without any file.
    """
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
        *(host_modules.PROBES if config is not None and config.pkcs11.modules else ()),
        *host_ports.PROBES,
        host_nhi.PORT,
        *host_system.PROBES,
        *(host_nhi.PROBES if config is not None and config.nhi_component.enabled else ()),
        card_rows.PIN_ROW,
        *rows,
        *certificates,
    )
