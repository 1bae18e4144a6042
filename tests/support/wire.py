"""A card that writes down every APDU that reaches it, for tests of what is never sent."""

from __future__ import annotations

from pcsc.winscard import VirtualCard

FORBIDDEN = {
    0x20: "VERIFY", 0x21: "VERIFY", 0x22: "MANAGE SECURITY ENVIRONMENT", 0x24: "CHANGE REFERENCE DATA",
    0x26: "DISABLE VERIFICATION", 0x28: "ENABLE VERIFICATION", 0x2A: "PERFORM SECURITY OPERATION",
    0x2C: "RESET RETRY COUNTER", 0x44: "ACTIVATE FILE", 0x04: "DEACTIVATE FILE", 0x46: "GENERATE KEY PAIR",
    0x47: "GENERATE KEY PAIR", 0x70: "MANAGE CHANNEL", 0x82: "EXTERNAL AUTHENTICATE", 0x84: "GET CHALLENGE",
    0x86: "GENERAL AUTHENTICATE", 0x88: "INTERNAL AUTHENTICATE", 0x0E: "ERASE BINARY", 0x0F: "ERASE BINARY",
    0x0C: "ERASE RECORD", 0xD0: "WRITE BINARY", 0xD1: "WRITE BINARY", 0xD2: "WRITE RECORD",
    0xD6: "UPDATE BINARY", 0xD7: "UPDATE BINARY", 0xDA: "PUT DATA", 0xDB: "PUT DATA", 0xDC: "UPDATE RECORD",
    0xDD: "UPDATE RECORD", 0xE0: "CREATE FILE", 0xE2: "APPEND RECORD", 0xE4: "DELETE FILE",
    0xE6: "TERMINATE DF", 0xE8: "TERMINATE EF", 0xFE: "TERMINATE CARD USAGE",
}  # fmt: skip

READS = {(0x00, ins) for ins in (0xA4, 0xB0, 0xB2, 0xC0, 0xCA)} | {
    (0x80, ins) for ins in (0xA4, 0xB0, 0xC0, 0xCA)
}


class Wiretap:
    """As the card inside.

    Attributes:
        sent: command APDUs in their order.
    """

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self.sent: list[bytes] = []

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return self._card.transmit(command)

    def assert_only_reads(self) -> None:
        assert self.sent
        assert_only_reads(self.sent)


def assert_only_reads(sent: list[bytes]) -> None:
    """Nothing of this could cost a try or change the card."""
    forbidden = [f"{FORBIDDEN[one[1]]}: {one.hex()}" for one in sent if one[1] in FORBIDDEN]
    assert not forbidden
    assert {(one[0], one[1]) for one in sent} <= READS
