"""Simulated cards: APDUs in, APDUs out, for developers of portals, for the demonstration and for tests.

Their certificates are issued by `O=HCA-AGENT SIMULATOR` and must never be trusted outside those.
"""

from hca_card.simulator.ca import SimulatorCa
from hca_card.simulator.kinds import KINDS, SimulatedCard, create

__all__ = ["KINDS", "SimulatedCard", "SimulatorCa", "create"]
