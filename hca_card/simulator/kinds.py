"""The kinds of simulated cards by their `--simulate` names, and the card that a reader holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from hca_card.simulator.ca import PROCESS_CA, SimulatorCa
from hca_card.simulator.cards import CitizenBlueprint, HcaBlueprint, Pkcs15Blueprint
from hca_card.simulator.faults import Endless, Mute, Slow, Torn
from hca_card.simulator.foreign_card import ForeignBlueprint, ForeignCard
from hca_card.simulator.hicos_card import HicosBlueprint, SimulatedHicosCard
from hca_card.simulator.hostile import corrupt
from hca_card.simulator.iso_card import IsoCard
from hca_card.simulator.nhi_card import ATR, ATR_NEW, SimulatedNhiCard
from hca_card.simulator.persons import CLINIC, DOCTOR, REVOKED_CARD
from pcsc.winscard import VirtualCard

_Chip = IsoCard | SimulatedNhiCard | SimulatedHicosCard | ForeignCard


class _Blueprint(Protocol):
    def build(self, ca: SimulatorCa, /) -> _Chip: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind: its words for people, what the card is, and what goes wrong with it."""

    description: str
    blueprint: _Blueprint
    fault: Callable[[VirtualCard], VirtualCard] | None = None


@dataclass(frozen=True, slots=True)
class _Nhi:
    atr: bytes
    number: str
    selectable: bool

    def build(self, _: SimulatorCa, /) -> SimulatedNhiCard:
        return SimulatedNhiCard(self.atr, self.number, "1100101", selectable=self.selectable)


_HPC: Final = HcaBlueprint("000000335361", DOCTOR)
_HOP: Final = HcaBlueprint("000000335401", CLINIC)
_SLOW_SECONDS: Final = 0.150
# READ BINARY of the card information by its short identifier.
_READ_CARD_INFO: Final = bytes.fromhex("00B084")

_TABLE: Final[Mapping[str, _Kind]] = {
    "hpc": _Kind("醫事人員卡", _HPC),
    "hop": _Kind("醫事機構卡", _HOP),
    "hop-secondary": _Kind(
        "醫事機構卡附卡",
        replace(_HOP, number="000000335402", holder=replace(CLINIC, card_sequence="02"), secondary=True),
    ),
    "nhi": _Kind("健保卡", _Nhi(ATR, "000000000001", selectable=True)),
    "nhi-new": _Kind("健保卡（新卡，不接受 SELECT）", _Nhi(ATR_NEW, "000000000002", selectable=False)),
    "citizen": _Kind("自然人憑證", CitizenBlueprint("0000000000000001")),
    "hicos": _Kind("自然人憑證，HiCOS 第一代", HicosBlueprint("0000000000000003", 1)),
    "hicos-2": _Kind("自然人憑證，HiCOS 第二代", HicosBlueprint("0000000000000004", 2)),
    "pkcs15-rsa3072": _Kind("PKCS#15 卡片，RSA 3072", Pkcs15Blueprint("000000335381", 3072)),
    "pkcs15-rsa4096": _Kind("PKCS#15 卡片，RSA 4096", Pkcs15Blueprint("000000335382", 4096)),
    "pkcs15-pss": _Kind("PKCS#15 卡片，RSA-PSS", Pkcs15Blueprint("000000335387", 2048, pss=True)),
    "pkcs15-p256": _Kind("PKCS#15 卡片，橢圓曲線 P-256", Pkcs15Blueprint("000000335383", 256)),
    "pkcs15-ecdh": _Kind(
        "PKCS#15 卡片，橢圓曲線 P-256，可解密", Pkcs15Blueprint("000000335388", 256, agreeing=True)
    ),
    "pkcs15-p384": _Kind("PKCS#15 卡片，橢圓曲線 P-384", Pkcs15Blueprint("000000335384", 384)),
    "pkcs15-p521": _Kind("PKCS#15 卡片，橢圓曲線 P-521", Pkcs15Blueprint("000000335385", 521)),
    "hpc-locked": _Kind("醫事人員卡，PIN 已鎖住", replace(_HPC, number="000000335362", pin_tries=0)),
    "hpc-last-try": _Kind("醫事人員卡，PIN 只剩一次", replace(_HPC, number="000000335363", pin_tries=1)),
    "hpc-expired": _Kind("醫事人員卡，憑證已過期", replace(_HPC, number="000000335364", expired=True)),
    "hpc-ends-soon": _Kind(
        "醫事人員卡，憑證 10 天後到期", replace(_HPC, number="000000335373", days_left=10)
    ),
    "hpc-v1": _Kind("第一版醫事人員卡，沒有加密憑證", replace(_HPC, number="000000335365", version="1")),
    "hop-v1": _Kind("第一版醫事機構卡", replace(_HOP, number="000000335403", version="1")),
    "hpc-revoked": _Kind("醫事人員卡，憑證已廢止", replace(_HPC, number=REVOKED_CARD)),
    "hpc-not-activated": _Kind("醫事人員卡，未開卡", replace(_HPC, number="000000335367", activated=False)),
    "hpc-terminated": _Kind("醫事人員卡，已終止使用", replace(_HPC, number="000000335368", terminated=True)),
    "hpc-slow": _Kind(
        "醫事人員卡，反應慢", replace(_HPC, number="000000335369"), partial(Slow, seconds=_SLOW_SECONDS)
    ),
    "hpc-mute": _Kind("醫事人員卡，沒有回應", replace(_HPC, number="000000335370"), Mute),
    "hpc-torn": _Kind("醫事人員卡，回應殘缺", replace(_HPC, number="000000335371"), Torn),
    "hpc-foreign": _Kind("醫事人員卡，指令不同，需要設定檔", ForeignBlueprint("000000336001")),
    "hpc-hostile": _Kind(
        "醫事人員卡，惡意內容",
        replace(_HPC, number="000000335372", rewrite=corrupt),
        partial(Endless, header=_READ_CARD_INFO),
    ),
}

KINDS: Final[Mapping[str, str]] = {name: kind.description for name, kind in _TABLE.items()}
"""Names that `create` takes, each with its description in Traditional Chinese."""


class SimulatedCard:
    """A simulated card as a reader holds it: a `pcsc.winscard.VirtualCard`; thread-safe.

    What a person may change (tries left, PIN) lives as long as this object; what a chip holds in volatile
    memory (selection, verified PIN, unfinished exchanges) is forgotten at `power_on`. A new card has power.

    Attributes:
        kind: its name in `KINDS`.
    """

    def __init__(self, kind: str, chip: _Chip, outside: VirtualCard) -> None:
        self.kind = kind
        self._chip = chip
        self._outside = outside
        self._lock = threading.Lock()
        self._powered = True

    @property
    def pin_tries(self) -> int | None:
        """Tries left for the PIN; None for a card without PIN."""
        match self._chip:
            case IsoCard() | ForeignCard():
                return self._chip.pin.left
            case SimulatedHicosCard():
                return self._chip.tries
        return None

    @property
    def puk_tries(self) -> int | None:
        """Tries left for the PUK; None for a card without PUK."""
        return self._chip.puk.left if isinstance(self._chip, IsoCard | ForeignCard) else None

    def power_on(self) -> bytes:
        """Cold or warm reset: the ATR, empty when the card is mute."""
        with self._lock:
            self._powered = True
            return self._outside.power_on()

    def power_off(self) -> None:
        """Lose power: no answers until the next `power_on`."""
        with self._lock:
            self._powered = False
            self._outside.power_off()

    def transmit(self, command: bytes) -> bytes:
        """Return the response APDU to a command APDU; nothing at all without power."""
        with self._lock:
            return self._outside.transmit(command) if self._powered else b""

    def __repr__(self) -> str:
        return f"SimulatedCard({self.kind})"


def create(kind: str, *, ca: SimulatorCa | None = None, delay_ms: int = 0) -> SimulatedCard:
    """Return a new card of that kind, with PIN 123456 and PUK 12345678 where it has any.

    Args:
        kind: one of `KINDS`.
        ca: who issues its certificates; None is one authority in memory for the whole process.
        delay_ms: how many milliseconds longer it takes for every command.

    Raises:
        ValueError: no such kind, or a negative delay.
    """
    recipe = _TABLE.get(kind)
    if recipe is None:
        raise ValueError(f"no simulated card is called {kind!r}; there are {', '.join(KINDS)}")
    if delay_ms < 0:
        raise ValueError("a delay is not negative")
    chip = recipe.blueprint.build(ca or PROCESS_CA)
    outside: VirtualCard = recipe.fault(chip) if recipe.fault else chip
    if delay_ms:
        outside = Slow(outside, delay_ms / 1000)
    return SimulatedCard(kind, chip, outside)
