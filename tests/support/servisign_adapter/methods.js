// The functions that the pages here call, in the order of their arguments: * text, # number (docs/servisign.md).
"use strict";

const words = (text) => text.split(" ").filter(Boolean);
const methods = (rows) => Object.fromEntries(Object.entries(rows).map(([name, text]) => [name, words(text)]));

const MODULE = "#ulModuleHandle";
const SESSION = "#ulModuleHandle #ulSessionHandle";

const PCSC = {
  pathId: "6BD4EA2493354E298DD0B09B72A5EA59",
  error: "ATL_GetErrorCode",
  methods: methods({
    ATL_InitModule: "*moduleName *initArgs",
    ATL_CloseModule: MODULE,
    ATL_InitSession: `${MODULE} #iFlags *userPin`,
    ATL_CloseSession: SESSION,
    ATL_GetCardHCACardVersion: MODULE,
    ATL_GetKeyObjectHandle: `${SESSION} #iKeyType *key_id *param`,
    ATL_DeleteKeyObject: `${SESSION} #ulKeyObjectHandle`,
    ATL_GetCertificateFromGPKICard: `${SESSION} #iCertId *readerName`,
    ATL_MakeSignature: `${SESSION} #ulAlgorithm *b64Data #ulPvKeyObject`,
    ATL_MakeSignatureEx: `${SESSION} #ulAlgorithm *b64Data #ulPvKeyObject`,
    ATL_MakeSignatureEx2: `${SESSION} #ulAlgorithm #ulEndianness *b64Data #ulPvKeyObject`,
    ATL_VerifySignature: `${SESSION} #ulAlgorithm *b64Data #ulPubKeyObject *b64Sig`,
    ATL_PublicKeyEncryption: `${SESSION} #ulAlgorithm *b64Data #ulPubKeyObject`,
    ATL_PrivateKeyDecryption: `${SESSION} #ulAlgorithm *b64Cipher #ulPvKeyObject`,
    ATL_GetSerialNumber: "*b64Cert",
    ATL_GetCertSubjectDN: "*b64Cert",
    ATL_GetRDNFromDN: "*dn *codePage #iFlags *rdn",
    ATL_GetCertNotBefore: "*b64Cert",
    ATL_GetCertNotAfter: "*b64Cert",
    ATL_GetCardType: MODULE,
    ATL_GetErrorCode: "",
    ATL_GetHCACardType: MODULE,
    ATL_GetHCABasicData: MODULE,
    ATL_GetHCACardSN: MODULE,
    ATL_GetHCACardInfo: MODULE,
  }),
};

const NHI = {
  pathId: "18463EED6A6E496BB4381EA090DA5882",
  error: "GetErrorCode",
  methods: methods({
    HCA_GetCardVersion: "",
    HCA_GetCardType: "",
    HCA_VerifyPIN: "*pincode #flag",
    HCA_OpenCOMPort: "#comport",
    HCA_CloseCOMPort: "",
    HCA_SignMessage: "*data #flag",
    HCA_PublicEncrypt: "*data #flag",
    HCA_LoadCert: "*bCert #flag",
    HCA_VerifySignMessage: "*bData *bSig #flag",
    HCA_PrivateDecrypt: "*cipher #flag",
    HCA_GetBasicData: "",
    HCA_GetCardInfo: "",
    HCA_GetCardSN: "",
    HCA_GetCert: "#flag",
    GetErrorCode: "",
  }),
};
