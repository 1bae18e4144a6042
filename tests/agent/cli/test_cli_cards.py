"""`readers`, `card`, `certs`, `pin status` on simulated cards."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hca_card.simulator import KINDS
from tests.support.command_line import answer


def test_readers_are_listed_with_what_is_in_them(invoke):
    result = invoke("readers", "--simulate", "hpc,nhi", "--json")
    assert result.exit_code == 0
    readers = answer(result)["readers"]
    assert [reader["state"] for reader in readers] == ["card", "card"]
    assert all(set(reader) == {"name", "state", "pinPad", "virtual"} for reader in readers)
    assert all(reader["virtual"] for reader in readers)
    shown = invoke("readers", "--simulate", "hpc,nhi").stdout
    assert all(reader["name"] in shown for reader in readers)


def test_kinds_may_be_named_one_by_one_or_together(invoke):
    listed = answer(invoke("readers", "--simulate", "hpc", "--simulate", "nhi,hop", "--json"))["readers"]
    assert [reader["name"].split()[-2] for reader in listed] == ["hpc", "nhi", "hop"]


def test_a_mute_card_is_seen_as_mute(invoke):
    assert answer(invoke("readers", "--simulate", "hpc-mute", "--json"))["readers"][0]["state"] == "mute"
    assert "mute" in invoke("readers", "--simulate", "hpc-mute").stdout


@pytest.mark.parametrize("words", [("card",), ("card", "show")])
def test_a_personnel_card_says_who_holds_it(invoke, words: tuple[str, ...]):
    shown = invoke(*words, "--simulate", "hpc")
    assert shown.exit_code == 0, shown.output
    assert "測試人員卡" in shown.stdout and "模擬卡" in shown.stdout and "000000335361" in shown.stdout
    card = answer(invoke(*words, "--simulate", "hpc", "--json"))
    assert (card["kind"], card["serial"], card["simulated"]) == ("hpc", "000000335361", True)
    assert card["holder"]["name"] == "測試人員卡"
    assert card["holder"]["englishName"] == "TEST CARD"
    assert card["info"]["activated"] is True
    assert card["pin"] == {"triesLeft": 3, "locked": False, "minLength": 6, "maxLength": 8}


@pytest.mark.parametrize("kind", ["hop", "hop-secondary", "nhi", "nhi-new", "citizen", "hpc-v1", "hpc-slow"])
def test_every_good_kind_of_card_can_be_shown(invoke, kind: str):
    shown = invoke("card", "--simulate", kind)
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize(
    ("kind", "error"),
    [("hpc-mute", "card.mute"), ("hpc-torn", "card."), ("hpc-hostile", "card.")],
)
def test_a_bad_card_is_a_sentence(invoke, kind: str, error: str):
    result = invoke("card", "--simulate", kind)
    assert result.exit_code == 1
    assert f"({error}" in result.stderr


def test_the_card_of_the_reader_named_is_shown(invoke):
    for part in ("nhi", "NHI 01", "HCA-AGENT Simulator nhi 01"):
        card = answer(invoke("card", "--simulate", "hpc,nhi", "--reader", part, "--json"))
        assert card["kind"] == "nhi"


@pytest.mark.parametrize("part", ["simulator", "ACS"])
def test_a_reader_name_that_is_none_or_several_is_refused(invoke, part: str):
    result = invoke("card", "--simulate", "hpc,nhi", "--reader", part)
    assert result.exit_code == 1
    assert "reader.unavailable" in result.stderr and "Simulator nhi" in result.stderr


def test_two_cards_and_nobody_to_choose_is_an_error(invoke):
    result = invoke("card", "--simulate", "hpc,hop")
    assert result.exit_code == 1
    assert "card.ambiguous" in result.stderr


def test_certificates_are_listed_and_given(invoke):
    certificates = answer(invoke("certs", "--simulate", "hpc", "--json"))["certificates"]
    assert [one["index"] for one in certificates] == [0, 1, 2, 3, 4]
    assert certificates[1]["use"] == "signature"
    parsed = x509.load_der_x509_certificate(base64.b64decode(certificates[1]["certificate"]))
    assert parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "測試人員卡"
    shown = invoke("certs", "--simulate", "hpc").stdout
    assert "簽章" in shown and "測試人員卡" in shown


def test_an_expired_certificate_is_marked(invoke):
    assert "已過期" in invoke("certs", "--simulate", "hpc-expired").stdout


@pytest.mark.parametrize(
    ("kind", "left", "locked"), [("hpc", 3, False), ("hpc-last-try", 1, False), ("hpc-locked", 0, True)]
)
def test_tries_left_are_told_without_spending_one(invoke, kind: str, left: int, locked: bool):
    status = answer(invoke("pin", "status", "--simulate", kind, "--json"))
    assert (status["triesLeft"], status["locked"]) == (left, locked)
    assert str(left) in invoke("pin", "status", "--simulate", kind).stdout


def test_a_card_without_pin_says_so(invoke):
    result = invoke("pin", "status", "--simulate", "nhi")
    assert result.exit_code == 1
    assert "card." in result.stderr


def test_the_certificate_for_signatures_is_written_as_pem(invoke, tmp_path: Path):
    file = tmp_path / "signer.pem"
    written = invoke("certs", "--simulate", "hpc", "-o", file)
    assert written.exit_code == 0, written.output
    listed = answer(invoke("certs", "--simulate", "hpc", "--json"))["certificates"]
    (wanted,) = (each["certificate"] for each in listed if each["use"] == "signature")
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    assert base64.b64encode(der).decode() == wanted
    assert invoke("certs", "--simulate", "hpc", "-o", file).exit_code == 2  # nothing is overwritten unasked


def test_a_certificate_is_picked_by_its_number(invoke, tmp_path: Path):
    file = tmp_path / "root.pem"
    shown = answer(invoke("certs", "--simulate", "hpc", "--json", "--index", "0", "-o", file))["certificates"]
    assert [each["index"] for each in shown] == [0]
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    assert base64.b64encode(der).decode() == shown[0]["certificate"]
    refused = invoke("certs", "--simulate", "hpc-v1", "--index", "2")
    assert refused.exit_code == 2 and "it has: 0, 1" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--simulate", "hpc", "pin", "status"),
        ("--simulate=hpc", "--json", "pin", "status"),
        ("--json", "--simulate", "nhi,hpc", "--reader", "hpc", "pin", "status"),
    ],
)
def test_shared_options_may_stand_before_the_command(invoke, words: tuple[str, ...]):
    shown = invoke(*words)
    assert shown.exit_code == 0, shown.output
    assert ('"triesLeft":3' if "--json" in words else "tries left  3") in shown.stdout


def test_a_shared_option_before_a_command_that_does_not_take_it_is_a_wrong_call(invoke):
    refused = invoke("--simulate", "hpc", "origins", "list")
    assert refused.exit_code == 2 and "--simulate" in refused.stderr


def test_the_kinds_of_simulated_cards_are_named_where_one_looks_for_them(invoke):
    shown = invoke("simulate", "--help").stdout
    assert all(kind in shown.split() for kind in KINDS)
    for words in (("--help",), ("card", "show", "--help")):
        assert "hca-agent simulate --help" in " ".join(invoke(*words).stdout.split())


@pytest.mark.parametrize("words", [("card",), ("certs",)])
@pytest.mark.parametrize(
    ("kind", "told"), [("hpc-ends-soon", "還有 10 天到期"), ("hpc-expired", "憑證已經過期。"), ("hpc", "")]
)
def test_a_certificate_that_ends_is_told_with_where_to_renew_it(invoke, words, kind: str, told: str):
    shown = invoke(*words, "--simulate", kind).stdout
    assert told in shown
    assert ("醫事憑證到期線上插卡換發" in shown) is bool(told)
