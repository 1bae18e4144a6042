"""The cards of the demo: the simulator's own, and those of two invented people."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Final

from agent.demo.errors import PortalError

if TYPE_CHECKING:
    from hca_card.simulator import SimulatedCard, SimulatorCa
    from pcsc.virtual import VirtualReader

CHOICES: Final[Mapping[str, tuple[str, str]]] = {
    "hpc": ("醫事人員卡（醫師）", "Personnel card, a physician's"),
    "hpc-nurse": ("醫事人員卡（護理師）", "Personnel card, a nurse's"),
    "hpc-newcomer": ("醫事人員卡，網站不認識的人", "Personnel card of somebody unknown"),
    "hop": ("醫事機構卡", "Institution card"),
    "hop-secondary": ("醫事機構卡附卡", "Institution secondary card"),
    "nhi": ("健保卡（護理師）", "NHI card, the nurse's"),
    "nhi-newcomer": ("健保卡，網站不認識的人", "NHI card of somebody unknown"),
    "citizen": ("自然人憑證", "Citizen certificate"),
    "hpc-last-try": ("醫事人員卡，PIN 碼只剩一次", "Personnel card, one PIN try left"),
    "hpc-locked": ("醫事人員卡，已鎖卡", "Personnel card, locked"),
    "hpc-expired": ("醫事人員卡，憑證已過期", "Personnel card, certificate expired"),
    "hpc-ends-soon": ("醫事人員卡，憑證快到期", "Personnel card, certificate ends soon"),
    "hpc-revoked": ("醫事人員卡，憑證已廢止", "Personnel card, certificate revoked"),
    "hpc-not-activated": ("醫事人員卡，未開卡", "Personnel card, not activated"),
    "hpc-terminated": ("醫事人員卡，已終止使用", "Personnel card, terminated"),
    "hpc-mute": ("醫事人員卡，沒有回應", "Personnel card that does not answer"),
}
"""What can be put into a reader, each with its words."""

NURSE: Final = "A100000001"
NEWCOMER: Final = "B200000002"
NURSE_CARD: Final = "000000335381"
NEWCOMER_CARD: Final = "000000335391"


def create(kind: str, authority: SimulatorCa) -> SimulatedCard:
    """Return a new card of that kind of `CHOICES`, or of the simulator's own."""
    from hca_card import simulator
    from hca_card.model import Insured, Personnel
    from hca_card.simulator.cards import HcaBlueprint
    from hca_card.simulator.nhi_card import ATR, SimulatedNhiCard

    if kind == "nhi-newcomer":
        newcomer = Insured(name="測試新人", id_number=NEWCOMER, birth="0850606", sex="F")
        nhi = SimulatedNhiCard(ATR, "000000000009", "1100101", newcomer, selectable=True)
        return simulator.SimulatedCard(kind, nhi, nhi)
    if kind == "hpc-nurse":
        holder = Personnel("測試民眾", "TEST NURSE", "F", "0800229", NURSE, "F", "護理師")
        chip = HcaBlueprint(NURSE_CARD, holder).build(authority)
    elif kind == "hpc-newcomer":
        holder = Personnel("測試新人", "TEST NEWCOMER", "F", "0850606", NEWCOMER, "A", "西醫師")
        chip = HcaBlueprint(NEWCOMER_CARD, holder).build(authority)
    else:
        return simulator.create(kind, ca=authority)
    return simulator.SimulatedCard(kind, chip, chip)


class CardTray:
    """The cards that the demo's pages put into its readers; there is one card of each kind.

    Args:
        readers: the virtual readers, by name.
        cards: the cards that are in them, by the name of the reader; kept up to date.
        authority: who issues the certificates of new cards.
    """

    def __init__(
        self,
        readers: Mapping[str, VirtualReader],
        cards: MutableMapping[str, SimulatedCard],
        authority: SimulatorCa,
    ) -> None:
        self._readers = readers
        self._in_readers = cards
        self._authority = authority
        self._at_first = {name: card.kind for name, card in cards.items()}
        self._cards = {card.kind: card for card in cards.values()}

    def to_json(self) -> dict[str, object]:
        """Return what the pages show: the choices, and which card is where."""
        kinds = {name: card.kind for name, card in self._in_readers.items()}
        return {
            "choices": [{"kind": kind, "zh": zh, "en": en} for kind, (zh, en) in CHOICES.items()],
            "readers": [{"name": name, "kind": kinds.get(name, "")} for name in self._readers],
        }

    def put(self, reader: object, kind: object) -> None:
        """Put the card of that kind into a reader, out of wherever it is; "" only empties the reader.

        It takes a while where the card is new: for a thread that may be kept busy.

        Raises:
            PortalError: `request.malformed` if there is no such reader or kind.
        """
        if not isinstance(reader, str) or reader not in self._readers:
            raise PortalError("request.malformed")
        if not isinstance(kind, str) or (kind and kind not in CHOICES):
            raise PortalError("request.malformed")
        if kind and kind not in self._cards:
            self._cards[kind] = create(kind, self._authority)
        self._take_out(reader)
        for other in [name for name, card in self._in_readers.items() if card.kind == kind]:
            self._take_out(other)
        if kind:
            self._readers[reader].insert(self._cards[kind])
            self._in_readers[reader] = self._cards[kind]

    def renew(self) -> None:
        """Put every reader back as it was at first, with new cards that have all PIN tries."""
        for reader in self._readers:
            self._take_out(reader)
        self._cards.clear()
        for reader, kind in self._at_first.items():
            self.put(reader, kind)

    def _take_out(self, reader: str) -> None:
        self._readers[reader].remove()
        self._in_readers.pop(reader, None)
