"""What an answer to reset says for certain."""

from __future__ import annotations

from hca_card.atr_hints import only_kinds
from hca_card.model import CardKind
from tests.support.cards import simulated


def test_an_atr_says_for_certain_only_what_no_other_card_can_be() -> None:
    atrs = {kind: simulated(kind).power_on() for kind in ("nhi", "nhi-new", "hpc", "citizen")}
    assert only_kinds(atrs["nhi"]) == {CardKind.NHI}
    assert only_kinds(atrs["nhi-new"]) is None
    assert only_kinds(atrs["hpc"]) is None and only_kinds(atrs["citizen"]) is None
    hicos = bytes.fromhex("3B B8 13 00 81 31 FA 52 43 48 54 4D 4F 49 43 41 A5")
    assert only_kinds(hicos) == {CardKind.CITIZEN, CardKind.PKCS15}
