"""ASN.1 specifications of ISO/IEC 7816-15:2016 (PKCS#15 v1.1), as far as this program reads them.

They are written with the known fields first: ISO/IEC 7816-15 lets every later edition append to most of them.
"""
# mypy: allow-subclassing-any

from __future__ import annotations

from typing import Any, ClassVar

from asn1crypto import core


class Extensible(core.Sequence):
    """A SEQUENCE with an extension mark: what a later edition appends is read and ignored."""

    _known: ClassVar[tuple[tuple[Any, ...], ...]] = ()

    def __init_subclass__(cls) -> None:
        more = [(f"extension{number}", core.Any, {"optional": True}) for number in range(8)]
        cls._fields = [*cls._known, *more]

    @property
    def native(self) -> dict[str, Any]:
        """The known fields; of what may be anything asn1crypto would guess a type by its tag number."""
        return {name: self[name].native for name, spec, *_ in self._known if spec is not core.Any}


class Path(core.Sequence):
    """§8.2.5."""

    _fields: ClassVar[list[tuple[Any, ...]]] = [
        ("path", core.OctetString),
        ("index", core.Integer, {"optional": True}),
        ("length", core.Integer, {"optional": True, "implicit": 0}),
    ]


class CommonObject(Extensible):
    """CommonObjectAttributes, §8.2.9."""

    _known = (
        ("label", core.UTF8String, {"optional": True}),
        ("flags", core.BitString, {"optional": True}),
        ("auth_id", core.OctetString, {"optional": True}),
        ("user_consent", core.Integer, {"optional": True}),
        ("access_control_rules", core.Sequence, {"optional": True}),
    )


class KeyUsage(core.BitString):
    """KeyUsageFlags, §8.2.10."""

    _map: ClassVar[dict[int, str]] = {
        0: "encrypt",
        1: "decrypt",
        2: "sign",
        3: "sign_recover",
        4: "wrap",
        5: "unwrap",
        6: "verify",
        7: "verify_recover",
        8: "derive",
        9: "non_repudiation",
    }


class References(core.SequenceOf):
    """References to AlgorithmInfo."""

    _child_spec = core.Integer


class CommonKey(Extensible):
    """CommonKeyAttributes, §8.2.10."""

    _known = (
        ("id", core.OctetString),
        ("usage", KeyUsage),
        ("native", core.Boolean, {"default": True}),
        ("access_flags", core.BitString, {"optional": True}),
        ("key_reference", core.Integer, {"optional": True}),
        ("start_date", core.GeneralizedTime, {"optional": True}),
        ("end_date", core.GeneralizedTime, {"optional": True, "implicit": 0}),
        ("alg_reference", References, {"optional": True, "implicit": 1}),
    )


class CommonCertificate(Extensible):
    """CommonCertificateAttributes, §8.2.15; what follows the authority flag is not needed."""

    _known = (
        ("id", core.OctetString),
        ("authority", core.Boolean, {"default": False}),
    )


class CommonData(Extensible):
    """CommonDataContainerObjectAttributes, §8.2.17."""

    _known = (
        ("application_name", core.UTF8String, {"optional": True}),
        ("application_oid", core.ObjectIdentifier, {"optional": True}),
    )


class CommonAuthentication(Extensible):
    """CommonAuthenticationObjectAttributes, §8.2.18."""

    _known = (("auth_id", core.OctetString, {"optional": True}),)


class PinFlags(core.BitString):
    """PasswordFlags, §8.9.2."""

    _map: ClassVar[dict[int, str]] = {
        0: "case_sensitive",
        1: "local",
        2: "change_disabled",
        3: "unblock_disabled",
        4: "initialized",
        5: "needs_padding",
        6: "unblocking",
        7: "so",
        8: "disable_allowed",
        9: "integrity_protected",
        10: "confidentiality_protected",
        11: "exchange_ref_data",
    }


class PinType(core.Enumerated):
    """PasswordType, §8.9.2, with the words of `hca_card.pin_block`; utf8 is sent as ASCII."""

    _map: ClassVar[dict[int, str]] = {
        0: "bcd",
        1: "ascii-numeric",
        2: "ascii",
        3: "half-nibble-bcd",
        4: "iso9564-1",
    }

    @property
    def native(self) -> str | None:
        """The word, or None for a type of a later edition."""
        return self._map.get(int(self))


class PinAttributes(Extensible):
    """PasswordAttributes, §8.9.2."""

    _known = (
        ("flags", PinFlags),
        ("type", PinType),
        ("min_length", core.Integer),
        ("stored_length", core.Integer),
        ("max_length", core.Integer, {"optional": True}),
        ("reference", core.Integer, {"default": 0, "implicit": 0}),
        ("pad", core.OctetString, {"optional": True}),
    )


class AlgorithmInfo(Extensible):
    """§8.10."""

    _known = (
        ("reference", core.Integer),
        ("algorithm", core.Integer),
        ("parameters", core.Any),
        ("operations", core.BitString),
        ("oid", core.ObjectIdentifier, {"optional": True}),
        ("alg_ref", core.Integer, {"optional": True}),
    )


class Algorithms(core.SequenceOf):
    """supportedAlgorithms, §8.10."""

    _child_spec = AlgorithmInfo


class TokenInfo(Extensible):
    """CIAInfo, §8.10."""

    _known = (
        ("version", core.Integer),
        ("serial", core.OctetString, {"optional": True}),
        ("manufacturer", core.UTF8String, {"optional": True}),
        ("label", core.UTF8String, {"optional": True, "implicit": 0}),
        ("flags", core.BitString),
        ("se_info", core.Sequence, {"optional": True}),
        ("record_info", core.Sequence, {"optional": True, "implicit": 1}),
        ("algorithms", Algorithms, {"optional": True, "implicit": 2}),
    )
