"""The NHI-reader library, 39 functions, in the order of their index; rows as in `pcsc_functions`."""

from __future__ import annotations

from functools import partial
from typing import Final

from agent.dialects.servisign import card, certificates, nhi_reader, pins, timestamps
from agent.dialects.servisign.functions import ResultKind, error_code, of_certificate, refused_file, table
from agent.dialects.servisign.signatures import algorithm_function, validate_certificate

_TEXT, _LIST, _NUMBER, _STATUS = ResultKind.TEXT, ResultKind.LIST, ResultKind.NUMBER, ResultKind.STATUS

_of_card = partial(card.of_card, find=card.latest_module)
_of_signature_certificate = partial(card.of_signature_certificate, find=card.latest_module)

FUNCTIONS: Final = table(
    ("HCA_GetCardVersion", "", _TEXT, _of_card(card.version)),
    ("HCA_GetCardType", "", _TEXT, _of_card(card.type_text)),
    ("HCA_VerifyPIN", "!pincode #flag", _STATUS, nhi_reader.verify_pin),
    ("HCA_OpenCOMPort", "#comport", _STATUS, nhi_reader.open_port),
    ("HCA_CloseCOMPort", "", _STATUS, nhi_reader.close_port),
    ("HCA_SetPIN", "!newPincode !pukcode #flag", _STATUS, pins.set_pin),
    ("HCA_SignMessage", "*data #flag", _TEXT, nhi_reader.sign),
    ("HCA_PublicEncrypt", "*data #flag", _TEXT, nhi_reader.public_encrypt),
    ("HCA_LoadCert", "*bCert #flag", _STATUS, nhi_reader.load_certificate),
    ("HCA_VerifySignMessage", "*bData *bSig #flag", _STATUS, nhi_reader.verify_message),
    ("HCA_PrivateDecrypt", "*cipher #flag", _TEXT, nhi_reader.private_decrypt),
    ("HCA_GetBasicData", "", _LIST, _of_card(card.basic_items)),
    ("HCA_GetCardInfo", "", _LIST, _of_card(nhi_reader.card_info)),
    ("HCA_GetCardSN", "", _TEXT, _of_card(card.serial)),
    ("HCA_GetCert", "#flag", _TEXT, nhi_reader.certificate),
    ("HCA_GetCertAttr", "*bCert #flag", _TEXT, nhi_reader.certificate_attribute),
    ("HCA_TSQuery", "*data #flag", _TEXT, timestamps.query_own),
    ("HCA_TSVerify", "*bData *bTimestamp #flag", _STATUS, timestamps.verify_function("bData", "bTimestamp")),
    ("HCA_GetTSInfo", "*bTimestamp #flag", _TEXT, timestamps.info_function("bTimestamp", "flag")),
    ("HCA_CertValidate", "*bCert *bCACert #flag", _STATUS, validate_certificate),
    ("GetErrorCode", "", _NUMBER, error_code),
    ("HCA_GetCardInfoByIndex", "#index", _TEXT, nhi_reader.item_of(nhi_reader.card_info)),
    ("HCA_GetBasicDataByIndex", "#index", _TEXT, nhi_reader.item_of(card.basic_items)),
    ("HCA_GetCardInfoCount", "", _NUMBER, _of_card(lambda data: len(nhi_reader.card_info(data)))),
    ("HCA_GetBasicDataCount", "", _NUMBER, _of_card(lambda data: len(card.basic_items(data)))),
    ("HCA_MessageDigest", "*data", _TEXT, nhi_reader.message_digest),
    ("HCA_TSQueryEx", "*bIP *bPort *bData #flag", _TEXT, timestamps.query_ex),
    ("HCA_GetKeySize", "", _NUMBER, _of_signature_certificate(certificates.key_length)),
    ("HCA_SignMessageEx", "*data #flag", _TEXT, nhi_reader.sign_ex),
    ("Util_ReadFileToBase64", "*bFileName", _TEXT, refused_file),
    ("Util_WriteFileFromBase64", "*bFileName *bB64Data", _STATUS, refused_file),
    ("HCA_SignDigest", "*data #flag", _TEXT, nhi_reader.sign_digest),
    ("Util_WriteFileFromHexString", "*bFileName *bHexData", _STATUS, refused_file),
    ("HCA_GetCertType", "", _NUMBER, _of_signature_certificate(certificates.certificate_type)),
    ("HCA_MessageDigestEx", "*b64data #iHashFlag #iFlag", _TEXT, nhi_reader.message_digest_ex),
    (
        "CryptCertGetSignatureAlgorithm",
        "*strCert #iFlags",
        _TEXT,
        of_certificate(certificates.signature_algorithm, "strCert"),
    ),
    ("HCA_SignMessageEx2", "*data #hashflag #flag", _TEXT, nhi_reader.sign_ex2),
    (
        "CryptSignatureGetAlgorithm",
        "*b64_p1_Signature *b64_Signer_Certificate #iFlag",
        _TEXT,
        algorithm_function("b64_p1_Signature", "b64_Signer_Certificate"),
    ),
    ("HCA_UnlockHPC", "", _STATUS, pins.unlock),
)
