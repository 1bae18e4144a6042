"""Looking at an unknown card without ever sending it anything that could cost a try or change it."""

from hca_card.probe.draft import Draft, draft
from hca_card.probe.found import Findings
from hca_card.probe.only_reads import Limits, OnlyReads
from hca_card.probe.prober import probe

__all__ = ["Draft", "Findings", "Limits", "OnlyReads", "draft", "probe"]
