"""One rule for the numbers 0 to 4, whatever order a card lists its certificates in and however it is read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hca_card import profile, tlv
from hca_card.certificate_numbers import USES, numbered
from hca_card.hicos import HicosCard
from hca_card.model import Card, CardCertificate, KeyUse
from hca_card.pkcs11 import messages
from hca_card.pkcs11.card import ModuleCard
from hca_card.pkcs15 import Pkcs15Card
from hca_card.pkcs15_directory import CertificateObject, ObjectPath, PrivateKey
from hca_card.pkcs15_roles import ListedCertificates
from hca_card.probe import probe
from hca_card.probe.guess import guess
from hca_card.probe.only_reads import OnlyReads
from hca_card.recognise import recognise
from hca_card.simulator import templates
from hca_card.simulator.cards import HcaBlueprint, Stock
from hca_card.simulator.der import sequence
from hca_card.simulator.der import tlv as tlv_of
from hca_card.simulator.files import ElementaryFile
from hca_card.simulator.hicos_card import FirstGeneration, _first_tree
from hca_card.simulator.persons import DOCTOR, current_validity
from pcsc.status import StatusError
from tests.support.cards import simulated, simulator_ca
from tests.support.certificates import DECIPHERING, SIGNING, Made, authority
from tests.support.script import CardChannel
from tests.support.software_card import rewritten

SIGN = Made("holder", "issuing")
DECIPHER = Made("holder", "issuing", DECIPHERING)
ISSUING = authority("issuing", "root")
SIBLING = authority("sibling", "root", ends=2041)
ROOT = authority("root", "root")

# What is there, and which of it has which number.
TABLE = [
    pytest.param([SIGN, DECIPHER, ISSUING, SIBLING, ROOT], {0: 2, 1: 0, 2: 1, 3: 3, 4: 4}, id="all five"),
    pytest.param(
        [Made("holder", "hca"), authority("hca", "gca"), authority("gca", "grca"), authority("grca", "grca")],
        {0: 1, 1: 0, 3: 2, 4: 3},
        id="a chain of four",
    ),
    pytest.param([SIGN, ISSUING], {0: 1, 1: 0}, id="no root"),
    pytest.param([SIGN, ROOT], {1: 0, 4: 1}, id="no issuing authority"),
    pytest.param([SIGN, SIBLING], {1: 0, 3: 1}, id="an authority of somebody else"),
    pytest.param([DECIPHER, ISSUING], {0: 1, 2: 0}, id="no signature certificate"),
    pytest.param([ISSUING, SIBLING, ROOT], {3: 1, 4: 2}, id="no holder's: none is the CA that issued it"),
    pytest.param([], {}, id="nothing"),
    pytest.param([Made("holder", "holder")], {1: 0}, id="a holder who signed for himself"),
    pytest.param([Made("holder", "holder", None)], {1: 0, 2: 0}, id="a holder without extensions"),
    pytest.param(
        [Made("holder", "holder", (*SIGNING, *DECIPHERING), ca=True)],
        {1: 0, 2: 0},
        id="basicConstraints say nothing beside keyUsage",
    ),
    pytest.param([Made("root", "root", None, ca=True)], {4: 0}, id="a root that only basicConstraints name"),
    pytest.param(
        [SIGN, DECIPHER, Made("issuing", "root", None), Made("root", "root", None)],
        {0: 2, 1: 0, 2: 1, 4: 3},
        id="authorities of version 1",
    ),
    pytest.param([SIGN, Made("old", "old", None)], {1: 0, 4: 1}, id="an unrelated root of version 1"),
    pytest.param(
        [Made("holder", "root"), ROOT], {0: 1, 1: 0, 4: 1}, id="issued by the root: it has both numbers"
    ),
    pytest.param(
        [SIGN, authority("issuing", "middle"), authority("middle", "root"), SIBLING, ROOT],
        {0: 1, 1: 0, 3: 2, 4: 4},
        id="of two intermediates the one above",
    ),
    pytest.param(
        [SIGN, ISSUING, authority("a", "root", ends=2041), authority("b", "root", ends=2050), ROOT],
        {0: 1, 1: 0, 3: 3, 4: 4},
        id="of two others the newest",
    ),
    pytest.param(
        [SIGN, ISSUING, authority("root", "elsewhere"), ROOT],
        {0: 1, 1: 0, 3: 2, 4: 3},
        id="a root that another root certified",
    ),
    pytest.param(
        [SIGN, authority("issuing", "elsewhere", ends=2060), ISSUING, ROOT],
        {0: 2, 1: 0, 3: 1, 4: 3},
        id="an issuing authority that another root certified",
    ),
    pytest.param(
        [
            Made("holder", "issuing", signer="old", identifiers=True),
            authority("issuing", "root", key="new", ends=2060, identifiers=True),
            authority("issuing", "root", key="old", identifiers=True),
            ROOT,
        ],
        {0: 2, 1: 0, 3: 1, 4: 3},
        id="a renewed authority: the one whose key is named",
    ),
    pytest.param(
        [SIGN, authority("issuing", "other"), authority("other", "issuing")],
        {0: 1, 1: 0, 3: 2},
        id="a circle",
    ),
    pytest.param(
        [SIGN, Made("holder", "issuing", ends=2055), ISSUING], {0: 2, 1: 1}, id="a renewed certificate"
    ),
    pytest.param(
        [Made("holder", "issuing", (*SIGNING, *DECIPHERING), ends=2050), DECIPHER, ISSUING],
        {0: 2, 1: 0, 2: 1},
        id="one for both, and one for encryption",
    ),
    pytest.param(
        [Made("holder", "ISSUING  Authority "), authority("issuing authority", "root"), ROOT],
        {0: 1, 1: 0, 4: 2},
        id="names are compared without case and spaces",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("there", "expected"), TABLE)
def test_the_same_certificates_have_the_same_numbers_in_every_order(
    there: list[Made], expected: dict[int, int]
) -> None:
    certificates = [made.der() for made in there]
    wanted = {number: certificates[at] for number, at in expected.items()}
    orders = [certificates, certificates[::-1], *itertools.permutations(certificates)]
    for order in orders[:60]:
        assert {number: order[at] for number, at in numbered(order).items()} == wanted


@pytest.mark.parametrize(
    "broken", [b"", b"\x30\x03\x02\x01\x00", b"\xff" * 40, bytes.fromhex("30820400") * 300, SIGN.der()[:-1]]
)
def test_what_cannot_be_read_hides_nothing_and_what_is_there_twice_counts_once(broken: bytes) -> None:
    certificates = [made.der() for made in (SIGN, DECIPHER, ISSUING, SIBLING, ROOT)]
    twice = [broken, *certificates, broken, *certificates[::-1]]
    assert numbered(twice) == {0: 3, 1: 1, 2: 2, 3: 4, 4: 5}


def test_a_certificate_that_the_card_joins_to_a_key_is_the_holders_whatever_it_says() -> None:
    strange = Made("holder", "issuing", ("key_cert_sign",)).der()
    certificates = [SIGN.der(), strange, ISSUING.der()]
    assert numbered(certificates, {KeyUse.SIGNATURE: [1]}) == {0: 2, 1: 1}
    assert numbered([b"", *certificates], {KeyUse.SIGNATURE: [0]}) == {0: 3, 1: 1, 3: 2}


def personnel() -> list[bytes]:
    """The five certificates of a personnel card, by their numbers."""
    validity = current_validity(datetime.now(UTC).date())
    pair = simulator_ca().identities(templates.personnel("000000335361", validity))
    [issuing], [root] = simulator_ca().intermediates, simulator_ca().roots
    sibling = simulator_ca().identity(templates.SIBLING).certificate
    return [issuing, *(one.certificate for one in pair), sibling, root]


def test_certificates_find_their_places_in_whatever_order_they_come() -> None:
    issuing, signature, encryption, sibling, root = personnel()
    listed = (root, b"\x30\x03\x02\x01\x00", sibling, encryption, issuing, signature, b"")
    for given in (listed, listed[::-1]):
        found = {number: given[at] for number, at in numbered(given).items()}
        assert found == {0: issuing, 1: signature, 2: encryption, 3: sibling, 4: root}


def test_a_signature_certificate_alone_is_none_for_encryption() -> None:
    assert set(numbered([personnel()[1]])) == {1}
    assert numbered([]) == {}


class Session:
    """The part of a module's session that a card needs to show its certificates."""

    token = messages.Token(label="卡片", serial="0001", flags=0, min_length=6, max_length=8)

    def __init__(self, certificates: list[bytes]) -> None:
        self._certificates = certificates

    def certificates(self) -> tuple[messages.Certificate, ...]:
        return tuple(messages.Certificate(bytes([at]), der) for at, der in enumerate(self._certificates))


def listed_by_number(card: Card) -> dict[int, bytes]:
    listed = card.certificates()
    assert [one.index for one in listed] == list(card.certificate_indexes())
    assert [one.use for one in listed] == [USES[one.index] for one in listed]
    return {one.index: one.der for one in listed}


def root_first(file: ElementaryFile) -> ElementaryFile:
    """The list of certificates turned round: the root, the intermediate, the authority that issued, ..."""
    if file.fid != 0x4404:
        return file
    return replace(file, content=b"".join(item.encode() for item in reversed(tlv.objects(file.content))))


def test_pkcs15_hicos_module_and_probe_give_the_same_certificates_the_same_numbers() -> None:
    wanted = dict(enumerate(personnel()))
    blueprint = HcaBlueprint("000000335361", DOCTOR, rewrite=root_first)
    with CardChannel(blueprint.build(simulator_ca())) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        assert [entry.label.split()[1] for entry in card.directory().certificates[:3]] == [
            "GRCA",
            "GCA",
            "CA",
        ]
        assert listed_by_number(card) == wanted

    validity = current_validity(datetime.now(UTC).date())
    authorities = (templates.ROOT, templates.SIBLING, templates.ISSUING)
    stock = Stock.issue(simulator_ca(), templates.personnel("000000335361", validity), authorities)
    with CardChannel(FirstGeneration(_first_tree("0000000000000003", stock))) as channel:
        hicos = recognise(channel, channel.atr)
        assert isinstance(hicos, HicosCard)
        assert listed_by_number(hicos) == wanted

    assert listed_by_number(ModuleCard(Session([*wanted.values()][::-1]))) == wanted  # type: ignore[arg-type]

    card = blueprint.build(simulator_ca())
    found = probe(OnlyReads(card.transmit), card.power_on(), (profile.reference(),))
    places = guess(found).certificates
    assert {number: place.content for number, place in places.items()} == wanted


def entry(identifier: int, *, is_authority: bool = False) -> CertificateObject:
    return CertificateObject(bytes([identifier]), "", is_authority, ObjectPath(bytes([0x43, identifier])))


def private_key(identifier: int, *, signs: bool) -> PrivateKey:
    return PrivateKey(bytes([identifier]), "", b"", 1, False, 2048, signs, not signs, ())


class Reads:
    """Certificates by their identifier, with a note of which were read."""

    def __init__(self, **certificates: bytes | Exception) -> None:
        self._certificates = {int(name[1:]): der for name, der in certificates.items()}
        self.noted: list[int] = []

    def __call__(self, place: ObjectPath) -> bytes:
        self.noted.append(place.path[1])
        content = self._certificates[place.path[1]]
        if isinstance(content, Exception):
            raise content
        return content


KEYS = [private_key(1, signs=True), private_key(2, signs=False)]
ENTRIES = [entry(4, is_authority=True), entry(3, is_authority=True), entry(2), entry(1)]


def test_the_holders_certificates_are_found_by_their_keys_without_reading_another() -> None:
    reads = Reads(_1=SIGN.der(), _2=DECIPHER.der(), _3=ISSUING.der(), _4=ROOT.der())
    certificates = ListedCertificates(ENTRIES, KEYS, reads)
    assert certificates.get(1).der == SIGN.der()
    assert reads.noted == [1]
    assert certificates.get(2).der == DECIPHER.der()
    assert reads.noted == [1, 2]
    assert certificates.get(0).der == ISSUING.der()
    assert certificates.numbers() == (0, 1, 2, 4)
    assert sorted(reads.noted) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage", [b"", b"\x00" * 20, b"\x30\x03\x02\x01\x00", StatusError(0x6A82), StatusError(0x6982)]
)
def test_a_place_that_cannot_be_read_hides_no_other(damage: bytes | Exception) -> None:
    reads = Reads(_1=SIGN.der(), _2=damage, _3=damage, _4=ROOT.der())
    certificates = ListedCertificates(ENTRIES, KEYS, reads)
    assert certificates.numbers() == (1, 4)
    assert certificates.get(1).der == SIGN.der()


def test_identifiers_that_lead_nowhere_leave_it_to_key_usage() -> None:
    reads = Reads(_1=SIGN.der(), _2=DECIPHER.der(), _3=ISSUING.der(), _4=ROOT.der())
    certificates = ListedCertificates(ENTRIES, [private_key(9, signs=True)], reads)
    assert [certificates.get(number).der for number in certificates.numbers()] == [
        made.der() for made in (ISSUING, SIGN, DECIPHER, ROOT)
    ]


def test_the_signature_certificate_costs_one_file_on_a_card_with_a_directory() -> None:
    with CardChannel(simulated("citizen")) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        card.certificate_indexes()
        everything = channel.count
    with CardChannel(simulated("citizen")) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        opened = channel.count
        signature = card.certificate(1)
        assert isinstance(signature, CardCertificate)
        # EF.ODF, EF.PrKD, EF.CD and the certificate, each selected and read (in pieces where it is long).
        assert channel.count - opened <= 8 + len(signature.der) // 256 + 1
        assert channel.count < everything


def test_a_certificate_whose_end_cannot_be_read_comes_after_those_that_have_one() -> None:
    lasting = Made("holder", "issuing", key="other")
    endless = rewritten(SIGN.der(), "ca", times=sequence(tlv_of(0x17, b"no time"), tlv_of(0x17, b"no time")))
    assert numbered([endless, lasting.der()])[1] == 1
    assert numbered([endless])[1] == 0
