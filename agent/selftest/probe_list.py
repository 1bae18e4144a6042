"""Which rows a self-test has, in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.selftest.model import Probe, Variant
from agent.selftest.probes import card, certificates, modules, nhi_component, ports, readers, system

if TYPE_CHECKING:
    from agent.config import Config


def plan(variant: Variant = Variant.ORDINARY, config: Config | None = None) -> tuple[Probe, ...]:
    """All rows: the computer first, then the card, then its certificates.

    Args:
        variant: which rows of the HCA page.
        config: which dialects are served; None is what holds without any file.
    """
    ordinary = variant is Variant.ORDINARY
    rows = card.HCA_ROWS if ordinary else card.NHI_ROWS
    found = "hca.init" if ordinary else "nhi.port"
    certificate_rows = (replace(probe, needs=(found, *probe.needs)) for probe in certificates.PROBES)
    return (
        *system.BASICS,
        ports.environment,
        *readers.PROBES,
        *(modules.PROBES if config is not None and config.pkcs11.modules else ()),
        *ports.PROBES,
        nhi_component.port,
        *system.PROBES,
        *(nhi_component.PROBES if config is not None and config.nhi_component.enabled else ()),
        card.PIN_ROW,
        card.SPEED_ROW,
        *rows,
        *certificate_rows,
    )
