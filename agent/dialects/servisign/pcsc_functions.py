"""The PC/SC library, 74 functions, in the order of their index (docs/servisign.md says what each does here).

A row: name; arguments in the order of the request, `*` text, `!` PIN or PUK, `#` number; what it hands back;
the function.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from agent.dialects.servisign import (
    card,
    certificates,
    directory,
    keys,
    ocsp,
    pins,
    revocation,
    signatures,
    symmetric,
    timestamps,
)
from agent.dialects.servisign.card import of_card, of_signature_certificate
from agent.dialects.servisign.functions import (
    Implementation,
    ResultKind,
    error_code,
    of_certificate,
    refused_file,
    table,
)

_CARD = "#ulModuleHandle"
_SESSION = "#ulModuleHandle #ulSessionHandle"
_TEXT, _LIST, _HANDLE, _NUMBER, _STATUS = (
    ResultKind.TEXT,
    ResultKind.LIST,
    ResultKind.HANDLE,
    ResultKind.NUMBER,
    ResultKind.STATUS,
)


def _name(field: str, *, reverse: bool = False) -> Implementation:
    return of_certificate(partial(certificates.name, field=field, reverse=reverse))


def _date(field: str) -> Implementation:
    return of_certificate(partial(certificates.date, field=field))


FUNCTIONS: Final = table(
    ("ATL_InitModule", "*moduleName *initArgs", _HANDLE, card.init_module),
    ("ATL_CloseModule", _CARD, _STATUS, card.close_module),
    ("ATL_InitSession", f"{_CARD} #iFlags !userPin", _HANDLE, card.init_session),
    ("ATL_CloseSession", _SESSION, _STATUS, card.close_session),
    ("ATL_GetCardHCACardVersion", _CARD, _TEXT, of_card(card.version)),
    ("ATL_GetKeyObjectHandle", f"{_SESSION} #iKeyType *key_id *param", _HANDLE, keys.key_handle),
    ("ATL_DeleteKeyObject", f"{_SESSION} #ulKeyObjectHandle", _STATUS, keys.delete_key),
    ("ATL_GetCertificateFromGPKICard", f"{_SESSION} #iCertId *readerName", _TEXT, card.certificate),
    ("ATL_HashFunction", f"{_SESSION} #ulAlgorithm *b64Data", _TEXT, keys.hash_function),
    ("ATL_MakeSignature", f"{_SESSION} #ulAlgorithm *b64Data #ulPvKeyObject", _TEXT, keys.make_signature),
    (
        "ATL_VerifySignature",
        f"{_SESSION} #ulAlgorithm *b64Data #ulPubKeyObject *b64Sig",
        _STATUS,
        keys.verify_signature,
    ),
    (
        "ATL_VerifySignatureByCert",
        "*b64Cert #ulAlgorithm *b64Data *b64Sig",
        _STATUS,
        keys.verify_by_certificate,
    ),
    (
        "ATL_PublicKeyEncryption",
        f"{_SESSION} #ulAlgorithm *b64Data #ulPubKeyObject",
        _TEXT,
        keys.public_encrypt,
    ),
    ("ATL_PublicKeyEncryptionByCert", "*b64Cert #ulAlgorithm *b64Data", _TEXT, keys.encrypt_by_certificate),
    (
        "ATL_PrivateKeyDecryption",
        f"{_SESSION} #ulAlgorithm *b64Cipher #ulPvKeyObject",
        _TEXT,
        keys.private_decrypt,
    ),
    ("ATL_GenerateSessionKey", "#length", _TEXT, symmetric.generate_key),
    (
        "ATL_SymEncryptionAlg",
        f"{_SESSION} #ulAlgorithm *b64Data *hexIv #ulSsKeyObject",
        _TEXT,
        symmetric.encrypt,
    ),
    (
        "ATL_SymDecryptionAlg",
        f"{_SESSION} #ulAlgorithm *b64Cipher *hexIv #ulSsKeyObject",
        _TEXT,
        symmetric.decrypt,
    ),
    ("ATL_VerifyCertSignature", "*cert *caCert", _STATUS, signatures.verify_certificate),
    ("ATL_GetSerialNumber", "*b64Cert", _TEXT, of_certificate(certificates.serial_number)),
    ("ATL_GetCertIssuerDN", "*b64Cert", _TEXT, _name("issuer")),
    ("ATL_GetCertSubjectDN", "*b64Cert", _TEXT, _name("subject")),
    ("ATL_GetLDAPTypeCertIssuerDN", "*b64Cert", _TEXT, _name("issuer", reverse=True)),
    ("ATL_GetLDAPTypeCertSubjectDN", "*b64Cert", _TEXT, _name("subject", reverse=True)),
    ("ATL_GetRDNFromDN", "*dn *codePage #iFlags *rdn", _TEXT, certificates.rdn_from_dn),
    (
        "ATL_GetCertNotBefore",
        "*b64Cert",
        _TEXT,
        _date("not_before"),
    ),
    ("ATL_GetCertNotAfter", "*b64Cert", _TEXT, _date("not_after")),
    ("ATL_GetExtension", "*b64Cert *oid", _TEXT, certificates.extension),
    (
        "ATL_GetSubjectDirectoryAttributes",
        "*b64Cert *oid",
        _TEXT,
        certificates.subject_directory_attribute,
    ),
    ("ATL_ExtractOIDFromDerCode", "*b64DerCode", _TEXT, certificates.oid_from_der),
    ("ATL_VerifyCRLSignature", "*b64Crl *b64CACert", _STATUS, revocation.verify_signature),
    ("ATL_SearchCRL_GetCertStatus", "*b64Crl *certSN", _NUMBER, revocation.status),
    ("ATL_SearchCRL_GetRevokedReason", "*b64Crl *certSN", _NUMBER, revocation.reason),
    ("ATL_SearchCRL_GetRevokedDate", "*b64Crl *certSN", _TEXT, revocation.date),
    ("ATL_GetCRLInfo_GetIssuerDN", "*b64Crl", _TEXT, revocation.issuer),
    ("ATL_GetCRLInfo_GetThisUpdate", "*b64Crl", _TEXT, revocation.this_update),
    ("ATL_GetCRLInfo_GetNextUpdate", "*b64Crl", _TEXT, revocation.next_update),
    ("ATL_BuildTobesignedOCSPRequest", "*certSN *hexNonce *b64ReqIssuerCert", _TEXT, ocsp.build),
    ("ATL_TSQuery", "*hostname *hostport *b64Data", _TEXT, timestamps.query),
    ("ATL_TSVerify", "*b64Data *b64TSRes", _STATUS, timestamps.verify_function("b64Data", "b64TSRes")),
    ("ATL_GetTSInfo", "*b64TSRes #param", _TEXT, timestamps.info_function("b64TSRes", "param")),
    ("ATL_GetCertFromLDAP", "*uniqueID *email *cn *ou *serialNumber *fullDN", _LIST, directory.certificates),
    ("ATL_GetCardType", _CARD, _TEXT, of_card(card.type_text)),
    ("ATL_GetBasicData", _CARD, _LIST, of_card(card.basic_items)),
    ("ATL_GetCardSN", "", _TEXT, of_card(card.serial, card.latest_module)),
    ("ATL_GetCardInfo", "", _LIST, of_card(card.info_items, card.latest_module)),
    ("ATL_GetErrorCode", "", _NUMBER, error_code),
    ("ATL_GetDataRecord", f"{_CARD} !pin *recordName", _TEXT, card.data_record),
    (
        "ATL_QueryOCSfromSignedOCSPRequest",
        "*certSNs *b64TbsOcspReq *b64TbsReqSig *b64ReqIssuerCert *b64SenderCert *b64ServerCert *serverUrl"
        " *porxyName #proxyPort",
        _STATUS,
        ocsp.query,
    ),
    ("ATL_OCSPGetResponseStatus", "#idx", _NUMBER, ocsp.response_status),
    ("ATL_OCSPGetCertStatus", "#idx", _NUMBER, ocsp.certificate_status),
    ("ATL_OCSPGetRevokeReason", "#idx", _NUMBER, ocsp.revocation_reason),
    ("ATL_Util_ReadFileToBase64", "*filename", _TEXT, refused_file),
    ("ATL_Util_WriteFileFromBase64", "*filename *b64Data", _STATUS, refused_file),
    ("ATL_SetCodePage", "*codePage", _STATUS, card.no_effect),
    ("ATL_GetCertExtension", "*b64Cert", _TEXT, of_certificate(certificates.extensions)),
    ("ATL_GetCertPublicKey", "*b64Cert", _TEXT, of_certificate(certificates.certificate_public_key)),
    ("ATL_GetCertKeyUsage", "*b64Cert", _TEXT, of_certificate(certificates.key_usage)),
    ("ATL_GetHCACardType", _CARD, _TEXT, of_card(card.type_text)),
    ("ATL_GetHCABasicData", _CARD, _LIST, of_card(card.basic_items)),
    ("ATL_GetHCACardSN", _CARD, _TEXT, of_card(card.serial)),
    ("ATL_GetHCACardInfo", _CARD, _LIST, of_card(card.info_items)),
    ("ATL_GetHCAKeyLength", _CARD, _NUMBER, of_signature_certificate(certificates.key_length)),
    (
        "ATL_MakeSignatureEx",
        f"{_SESSION} #ulAlgorithm *b64Data #ulPvKeyObject",
        _TEXT,
        keys.make_signature_ex,
    ),
    ("ATL_InitSOSession", f"{_CARD} #iFlags !cardPuk", _HANDLE, pins.init_officer_session),
    ("ATL_UnblockUserPIN", f"{_SESSION} !newUserPin", _STATUS, pins.unblock),
    (
        "ATL_MakeSignatureEx2",
        f"{_SESSION} #ulAlgorithm #ulEndianness *b64Data #ulPvKeyObject",
        _TEXT,
        keys.make_signature_ex2,
    ),
    ("ATL_GetHCACertType", _CARD, _NUMBER, of_signature_certificate(certificates.certificate_type)),
    ("ATL_VerifySignatureByCert2", "*b64Cert *b64Data *b64Sig", _STATUS, signatures.verify_by_certificate2),
    (
        "ATL_CryptCertGetSignatureAlgorithm",
        "*b64Cert #flag",
        _TEXT,
        of_certificate(certificates.signature_algorithm),
    ),
    (
        "ATL_CryptSignatureGetAlgorithm",
        "*b64Cert *b64Sig #flags",
        _TEXT,
        signatures.algorithm_function("b64Sig", "b64Cert"),
    ),
    ("ATL_CloseModuleEx", f"{_CARD} #iFlag", _STATUS, card.close_module),
    ("ATL_SignWithoutHash", f"{_SESSION} *b64Data #ulPvKeyObject", _TEXT, keys.sign_without_hash),
    ("ATL_ChangeUserPIN", f"{_SESSION} !newUserPin", _STATUS, pins.change),
)
