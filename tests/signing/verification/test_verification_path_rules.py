"""Rules for a path that no published suite here has a case of, one certificate changed at a time.

The kinds are those that x509-limbo lists (its file is in no package that this project builds from) and
PKITS, the BSI's and Botan's paths leave out: RFC 5280's demands upon form, keys that are none, loops, and
paths that are dear to search. Each case says what a verdict must be, or that readers put up with it and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import pytest
from asn1crypto import algos, core, keys, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.certificate import any_public_key
from signing.errors import CertificateMalformedError
from signing.formats import SignatureFormat
from signing.verification.findings import Finding
from signing.verification.found import FoundDocument, FoundSignature
from signing.verification.judge import Trust, judge
from signing.verification.report import DocumentReport, Verdict
from tests.support.vectors import Counted, Record, sequence

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
CURVE: Final = ec.SECP256R1()
Extension = tuple[str, bool, bytes]


@cache
def key(name: str) -> Any:
    """The key of that name; its kind and length stand before a blank."""
    kind = name.partition(" ")[0]
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"P192": ec.SECP192R1(), "P224": ec.SECP224R1()}.get(kind, CURVE))


def public(name: str) -> bytes:
    return bytes(key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def identifier(name: str) -> bytes:
    return bytes(keys.PublicKeyInfo.load(public(name)).sha1)


def basic(*, ca: bool, length: int | None = None, critical: bool = True) -> Extension:
    return (
        "basic_constraints",
        critical,
        x509.BasicConstraints({"ca": ca, "path_len_constraint": length}).dump(),
    )


def usage(*bits: str, critical: bool = True) -> Extension:
    return "key_usage", critical, x509.KeyUsage(set(bits)).dump()


def constrained(
    *, critical: bool = True, permitted: str = "", excluded: str = "", times: int = 1
) -> Extension:
    def subtrees(name: str) -> list[dict[str, Any]]:
        return [
            {"base": x509.GeneralName("directory_name", named(name + " " * each))} for each in range(times)
        ]

    trees = {"permitted_subtrees": permitted, "excluded_subtrees": excluded}
    value = x509.NameConstraints({kind: subtrees(name) for kind, name in trees.items() if name})
    return "name_constraints", critical, value.dump()


def key_identifier(name: str, *, critical: bool = False) -> Extension:
    return "key_identifier", critical, core.OctetString(identifier(name)).dump()


def authority_identifier(name: str, *, critical: bool = False) -> Extension:
    value = x509.AuthorityKeyIdentifier({"key_identifier": identifier(name)})
    return "authority_key_identifier", critical, value.dump()


def named(name: str) -> x509.Name:
    return x509.Name.build({"country_name": "TW", "organization_name": name} if name else {})


UNKNOWN: Final[Extension] = ("1.3.6.1.4.1.55738.666.1", True, core.Null().dump())
SIGNS: Final = usage("digital_signature", "non_repudiation")
CERTIFIES: Final = usage("key_cert_sign", "crl_sign")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a certificate says; every part of it may be wrong.

    `own` and `signer` name keys where they are not called like subject and issuer; `said` is the method that
    stands inside where it is not the one that is used.
    """

    subject: str
    issuer: str
    extensions: tuple[Extension, ...]
    own: str = ""
    signer: str = ""
    hash: type[hashes.HashAlgorithm] = hashes.SHA256
    said: str = ""
    version: str = "v3"
    number: int | None = None
    begins: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    ends: datetime = datetime(2040, 1, 1, tzinfo=UTC)
    key_info: bytes = b""

    @cache  # noqa: B019  (made once: an elliptic signature is another each time)
    def der(self) -> bytes:
        signer = key(self.signer or self.issuer)
        kind = "rsa" if isinstance(signer, rsa.RSAPrivateKey) else "ecdsa"
        method = algos.SignedDigestAlgorithm({"algorithm": f"{self.hash.name}_{kind}"})
        fields: dict[str, Any] = {
            "version": self.version,
            "serial_number": abs(hash(self)) + 1 if self.number is None else self.number,
            "signature": algos.SignedDigestAlgorithm({"algorithm": self.said}) if self.said else method,
            "issuer": named(self.issuer),
            "validity": {"not_before": time(self.begins), "not_after": time(self.ends)},
            "subject": named(self.subject),
            "subject_public_key_info": keys.PublicKeyInfo.load(
                self.key_info or public(self.own or self.subject)
            ),
        }
        if self.extensions:
            fields["extensions"] = x509.Extensions.load(
                sequence(*(encoded(each) for each in self.extensions))
            )
        inside = x509.TbsCertificate(fields).dump()
        more = (padding.PKCS1v15(), self.hash()) if kind == "rsa" else (ec.ECDSA(self.hash()),)
        parts = {
            "tbs_certificate": x509.TbsCertificate.load(inside),
            "signature_algorithm": method,
            "signature_value": signer.sign(inside, *more),
        }
        return bytes(x509.Certificate(parts).dump())

    def without(self, *names: str) -> Made:
        return replace(self, extensions=tuple(each for each in self.extensions if each[0] not in names))

    def having(self, *more: Extension) -> Made:
        """The same with these extensions, each in place of its like."""
        kept = self.without(*(name for name, *_ in more)).extensions
        return replace(self, extensions=(*kept, *more))


def encoded(extension: Extension) -> bytes:
    name, critical, value = extension
    flag = core.Boolean(True).dump() if critical else b""
    return sequence(x509.ExtensionId(name).dump(), flag, core.OctetString(value).dump())


def time(moment: datetime) -> x509.Time:
    return x509.Time({"utc_time" if moment.year < 2050 else "general_time": moment})


@dataclass(frozen=True, kw_only=True)
class Path:
    """A path from a root to a holder: `root`, `between`, `holder`."""

    root: Made
    between: tuple[Made, ...]
    holder: Made

    def verdict(self) -> DocumentReport:
        signature = FoundSignature(SignatureFormat.CMS, self.holder.der(), intact=True, remarks=())
        trust = Trust(
            roots=(self.root.der(),),
            intermediates=tuple(each.der() for each in self.between),
            hard=False,
            now=NOW,
        )
        return judge(FoundDocument("cms", (signature,)), b"", trust)


def authority(subject: str, issuer: str, **more: Any) -> Made:
    own, signer = more.get("own", subject), more.get("signer", issuer)
    extensions = (basic(ca=True), CERTIFIES, key_identifier(own), authority_identifier(signer))
    return Made(subject=subject, issuer=issuer, extensions=extensions, **more)


def holder(issuer: str, **more: Any) -> Made:
    extensions = (SIGNS, key_identifier("holder"), authority_identifier(more.get("signer", issuer)))
    return Made(subject="holder", issuer=issuer, extensions=extensions, **more)


ROOT: Final = authority("root", "root")
MIDDLE: Final = authority("middle", "root")
HOLDER: Final = holder("middle")
USUAL: Final = Path(root=ROOT, between=(MIDDLE,), holder=HOLDER)


def root(made: Made) -> Path:
    return replace(USUAL, root=made)


def middle(*made: Made) -> Path:
    return replace(USUAL, between=made)


def last(made: Made, *between: Made) -> Path:
    return replace(USUAL, holder=made, between=between or USUAL.between)


def explicit(name: str) -> bytes:
    """The public key with the numbers of its curve in place of the curve's name (RFC 3279 §2.3.5)."""
    number = key(name).public_key().public_numbers()
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    # The generator is the key itself: whoever chooses it knows its private key, which is 1 (CVE-2020-0601).
    point = b"\x04" + number.x.to_bytes(32) + number.y.to_bytes(32)
    curve = keys.SpecifiedECDomain(
        {
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": prime},
            "curve": {"a": (prime - 3).to_bytes(32), "b": b.to_bytes(32)},
            "base": keys.ECPoint(point),
            "order": order,
            "cofactor": 1,
        }
    )
    info = {
        "algorithm": {"algorithm": "ec", "parameters": keys.ECDomainParameters("specified", curve)},
        "public_key": keys.ECPointBitString(point),
    }
    return bytes(keys.PublicKeyInfo(info).dump())


def exponent_of_one() -> bytes:
    """An RSA key that lets everybody sign: what is signed is the signature."""
    modulus = key("RSA2048 one").public_key().public_numbers().n
    numbers = keys.RSAPublicKey({"modulus": modulus, "public_exponent": 1})
    return bytes(keys.PublicKeyInfo({"algorithm": {"algorithm": "rsa"}, "public_key": numbers}).dump())


def ladder(foot: str, top: str) -> Path:
    """Two keys of each authority on each of forty steps, each certified by both below: 2 ** 40 paths."""
    between = tuple(
        authority(
            f"step {number}",
            f"step {number - 1}" if number else foot,
            own=f"step {number} {own}",
            signer=f"step {number - 1} {signer}" if number else foot,
        )
        for number in range(40)
        for own in range(2)
        for signer in range(2)
    )
    return last(holder("step 39", signer=top), *between)


GOOD: Final[dict[str, Path]] = {
    "root, authority, holder": USUAL,
    "root, holder": last(holder("root")),
    "an expired certificate of the same authority lies beside the good one": middle(
        replace(MIDDLE, ends=datetime(2021, 1, 1, tzinfo=UTC)), MIDDLE
    ),
    "an authority of the same name with another key lies beside the good one": middle(
        authority("middle", "root", own="other"), MIDDLE
    ),
    "two authorities certify each other, and one of them is certified by the root": last(
        holder("a"), authority("b", "a"), authority("a", "b"), authority("a", "root")
    ),
    "a length of none, and no authority below": middle(MIDDLE.having(basic(ca=True, length=0))),
    "a new key of the same authority does not count as an authority below it": last(
        holder("middle", signer="new"),
        MIDDLE.having(basic(ca=True, length=0)),
        authority("middle", "middle", own="new"),
    ),
    "constrained to the holder's name": last(
        replace(HOLDER, subject="hospital"), MIDDLE.having(constrained(permitted="hospital"))
    ),
    "constrained to the holder's name three hundred times": middle(
        MIDDLE.having(constrained(permitted="holder", times=300))
    ),
    "elliptic holder under RSA authorities": Path(
        root=authority("root", "root", own="RSA2048 root", signer="RSA2048 root"),
        between=(authority("middle", "root", own="RSA3072", signer="RSA2048 root"),),
        holder=holder("middle", signer="RSA3072"),
    ),
    "until the year 9999": last(replace(HOLDER, ends=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))),
    "P-224": last(replace(HOLDER, own="P224")),
}

BAD: Final[dict[str, Path]] = {
    "nobody's": middle(),
    "another root of the same name": root(authority("root", "root", own="other", signer="other")),
    "signed by another key than the authority's": last(replace(HOLDER, signer="other")),
    "its own": last(holder("holder")),
    "the root is the holder": last(ROOT),
    "root and authority in each other's place": Path(root=MIDDLE, between=(ROOT,), holder=holder("root")),
    "a loop of authorities without a root": last(holder("a"), authority("b", "a"), authority("a", "b")),
    "a loop of an authority's own": last(
        holder("a", signer="a 2"),
        authority("a", "a", own="a 2", signer="a 1"),
        authority("a", "a", own="a 1", signer="a 2"),
    ),
    "a million million ways, none to a root": ladder("nobody", "step 39 0"),
    "a million million ways to a root, and a holder of another": ladder("root", "nobody"),
    "the holder issues": last(
        replace(holder("other"), subject="end"), MIDDLE, replace(HOLDER, subject="other", own="other")
    ),
    "expired": last(replace(HOLDER, ends=datetime(2025, 12, 31, tzinfo=UTC))),
    "not begun": last(replace(HOLDER, begins=datetime(2026, 1, 2, tzinfo=UTC))),
    "the authority has expired": middle(replace(MIDDLE, ends=datetime(2025, 12, 31, tzinfo=UTC))),
    "the authority has not begun": middle(replace(MIDDLE, begins=datetime(2026, 1, 2, tzinfo=UTC))),
    "ends before it begins": last(replace(HOLDER, ends=datetime(2019, 1, 1, tzinfo=UTC))),
    "an unknown critical extension, holder": last(HOLDER.having(UNKNOWN)),
    "an unknown critical extension, authority": middle(MIDDLE.having(UNKNOWN)),
    "an authority without basic constraints": middle(MIDDLE.without("basic_constraints")),
    "an authority that says it is none": middle(MIDDLE.having(basic(ca=False))),
    "an authority that may not certify": middle(MIDDLE.having(usage("crl_sign"))),
    "an authority of version 1": middle(replace(MIDDLE, version="v1", extensions=())),
    "a length of none, and an authority below": last(
        holder("low"), MIDDLE.having(basic(ca=True, length=0)), authority("low", "middle")
    ),
    "a length of none at the authority above": last(
        holder("lowest"),
        MIDDLE.having(basic(ca=True, length=1)),
        authority("low", "middle"),
        authority("lowest", "low"),
    ),
    "the holder is an authority": last(HOLDER.having(basic(ca=True), CERTIFIES)),
    "a key that may only be agreed with": last(HOLDER.having(usage("key_agreement"))),
    "a key that may only certify": last(HOLDER.having(CERTIFIES)),
    "not permitted": middle(MIDDLE.having(constrained(permitted="another"))),
    "excluded": middle(MIDDLE.having(constrained(excluded="holder"))),
    "excluded by a constraint that is not critical": middle(
        MIDDLE.having(constrained(critical=False, excluded="holder"))
    ),
    "excluded in other letters and blanks": middle(MIDDLE.having(constrained(excluded=" HOLDER  "))),
    "excluded two authorities above": last(
        holder("low"), MIDDLE.having(constrained(excluded="holder")), authority("low", "middle")
    ),
    "an extension twice, the other way": last(
        replace(HOLDER, extensions=(*HOLDER.extensions, usage("key_agreement")))
    ),
    "basic constraints twice, the other way": middle(
        replace(MIDDLE, extensions=(*MIDDLE.extensions, basic(ca=False)))
    ),
    "another method inside than outside": last(replace(HOLDER, said="sha512_ecdsa")),
    "an authority: another method inside than outside": middle(replace(MIDDLE, said="sha512_ecdsa")),
    "SHA-1": last(replace(HOLDER, hash=hashes.SHA1)),
    "an authority signed over SHA-1": middle(replace(MIDDLE, hash=hashes.SHA1)),
    "RSA of 1024 bits": last(replace(HOLDER, own="RSA1024")),
    "an authority's RSA of 1024 bits": last(
        replace(HOLDER, signer="RSA1024"), replace(MIDDLE, own="RSA1024")
    ),
    "P-192": last(replace(HOLDER, own="P192")),
    "an authority's P-192": last(replace(HOLDER, signer="P192"), replace(MIDDLE, own="P192")),
    "an authority's curve in numbers with a point of its own": middle(
        replace(MIDDLE, key_info=explicit("middle"))
    ),
    "no issuer": last(replace(HOLDER, issuer="", signer="middle")),
    "an authority without a name": last(
        replace(HOLDER, issuer="", signer="middle"), replace(MIDDLE, subject="")
    ),
    "basic constraints that are none": middle(MIDDLE.having(("basic_constraints", True, b"\x05\x00"))),
    "key usage that is none": last(HOLDER.having(("key_usage", True, b"\x05\x00"))),
    "key usage without a bit": last(HOLDER.having(usage())),
}

# What issuers must not do and readers are not told to refuse (RFC 5280's paragraph).
PUT_UP_WITH: Final[dict[str, Path]] = {
    "an unknown critical extension, root: of a root name and key count (§6.1.1 d)": root(
        ROOT.having(UNKNOWN)
    ),
    "a root without basic constraints (§6.1.1 d)": root(ROOT.without("basic_constraints")),
    "a root whose basic constraints are not critical (§4.2.1.9)": root(
        ROOT.having(basic(ca=True, critical=False))
    ),
    "a root that has expired (§6.1.1 d)": root(replace(ROOT, ends=datetime(2025, 1, 1, tzinfo=UTC))),
    "an authority whose basic constraints are not critical (§4.2.1.9)": middle(
        MIDDLE.having(basic(ca=True, critical=False))
    ),
    "an authority without key usage (§4.2.1.3)": middle(MIDDLE.without("key_usage")),
    "a holder without key usage (§4.2.1.3)": last(HOLDER.without("key_usage")),
    "an authority without an identifier of its key (§4.2.1.2)": middle(MIDDLE.without("key_identifier")),
    "a holder that does not identify its issuer's key (§4.2.1.1)": last(
        HOLDER.without("authority_key_identifier")
    ),
    "the issuer's key is identified critically (§4.2.1.1)": last(
        HOLDER.having(authority_identifier("middle", critical=True))
    ),
    "its own key is identified critically (§4.2.1.2)": last(
        HOLDER.having(key_identifier("holder", critical=True))
    ),
    "number 0 (§4.1.2.2)": last(replace(HOLDER, number=0)),
    "a number of 21 octets (§4.1.2.2)": last(replace(HOLDER, number=1 << 166)),
    "the holder says that it is an authority, and that its key does not certify (§4.2.1.9)": last(
        HOLDER.having(basic(ca=True))
    ),
    "a holder without a name (§4.1.2.6)": last(replace(HOLDER, subject="", own="holder")),
}


@pytest.mark.parametrize("case", GOOD | PUT_UP_WITH)
def test_a_good_path_is_taken(case: str) -> None:
    report = (GOOD | PUT_UP_WITH)[case].verdict()
    assert report.verdict in (Verdict.VALID, Verdict.REMARK), findings(report)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_path_is_refused_in_words(case: str) -> None:
    report = BAD[case].verdict()
    assert report.verdict not in (Verdict.VALID, Verdict.REMARK)
    assert findings(report)


def findings(report: DocumentReport) -> set[Finding]:
    return {Finding(each.finding) for part in (report, *report.signatures) for each in part.remarks}


@pytest.mark.parametrize("info", [explicit("holder"), exponent_of_one()], ids=["curve", "exponent"])
def test_a_key_with_which_everybody_can_sign_is_no_key(info: bytes) -> None:
    with pytest.raises(CertificateMalformedError):
        any_public_key(replace(HOLDER, key_info=info).der())


def test_they_are_counted(record_property: Record) -> None:
    count = Counted({"good, accepted": len(GOOD), "bad, refused": len(BAD), "put up with": len(PUT_UP_WITH)})
    count.tell("Rules for a path", record_property)
