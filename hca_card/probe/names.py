"""The applications that a probe asks for, by name."""

from __future__ import annotations

from typing import Final

from hca_card import hca, nhi
from hca_card.hicos_select import GENERATION_2_AID
from hca_card.pkcs15_directory import AID as PKCS15_AID

NHI_FAMILY: Final = tuple(nhi.AID[:-2] + name for name in (b"\x11\x00", b"\x21\x00", b"\x31\x00"))
"""Applications under the NHI's registered identifier, whose names differ in two bytes."""

KNOWN: Final = {
    nhi.AID: "NHI card (健保卡)",
    NHI_FAMILY[1]: "NHI family, 2100",
    NHI_FAMILY[2]: "NHI family, 3100",
    PKCS15_AID: "PKCS#15",
    GENERATION_2_AID: "HiCOS, generation 2",
    bytes.fromhex("F276A288BCFBA69D34F31001"): "IsoApplet",
    bytes.fromhex("A000000151000000"): "issuer security domain (GlobalPlatform)",
    bytes.fromhex("A000000003000000"): "issuer security domain (Visa, OpenPlatform)",
    bytes.fromhex("A000000018434D00"): "issuer security domain (Gemalto)",
    bytes.fromhex("D27600012401"): "OpenPGP card",
    bytes.fromhex("A000000308000010000100"): "PIV",
}
"""AID to what it is; what EF.DIR and the profiles name is asked for besides."""

CHIPS: Final = {
    chip: f"{chip.removeprefix(b'PV_').decode()}, a JCOP chip that HCA cards have 晶片與醫事憑證卡相同"
    for chip in hca.CHIPS
}
"""Historical bytes to what they say; other cards have such chips, too."""

SECURITY_DOMAINS: Final = tuple(aid for aid, name in KNOWN.items() if "security domain" in name)
ISO_APPLET: Final = bytes.fromhex("F276A288BCFBA69D34F31001")
