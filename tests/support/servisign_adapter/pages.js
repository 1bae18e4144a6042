// What real pages were recorded to do with the adapter (docs/servisign.md, "Pages as recorded").
//
// Each gives back what the page would show or post; the test checks that without this program's help.
"use strict";

const SHA1 = 6;
const SHA256 = 0x40;
const RSA = 1;

class Page {
  constructor(generation, library, options) {
    const Template = generation === 2020 ? Adapter2020 : Adapter2022;
    this.library = library;
    this.adapter = new Template({ ...library, ...options });
    if (!this.adapter.connect()) throw new Error(`ServiSign ${this.adapter.code}`);
  }

  error() {
    return this.adapter.call(this.library.error);
  }

  // A call whose error code the page looks at.
  good(name, ...values) {
    const result = this.adapter.call(name, ...values);
    const code = this.error();
    if (code != 0) throw new Error(`${name}: ${code}`);
    return result;
  }

  list(name, ...values) {
    const items = this.adapter.list(name, ...values);
    const code = this.error();
    if (code != 0) throw new Error(`${name}: ${code}`);
    return items;
  }

  open(pin) {
    this.module = this.good("ATL_InitModule", "HCAPKCS11.dll", "");
    this.session = this.good("ATL_InitSession", this.module, 6, pin);
    if (!(this.module > 0 && this.session > 0)) throw new Error("no handles");
    return [this.module, this.session];
  }

  key(kind, param) {
    return this.good("ATL_GetKeyObjectHandle", this.module, this.session, kind, "", param);
  }

  close() {
    this.good("ATL_CloseSession", this.module, this.session);
    return this.adapter.call("ATL_CloseModule", this.module);
  }
}

function login(generation, options, pin) {
  new Page(generation, PCSC, options); // the log-in page makes two, and uses the second
  const page = new Page(generation, PCSC, options);
  page.open(pin);
  const posted = {
    cardType: page.good("ATL_GetHCACardType", page.module),
    basic: page.list("ATL_GetHCABasicData", page.module),
    certificate: page.good("ATL_GetCertificateFromGPKICard", page.module, page.session, 1, ""),
  };
  const { adapter } = page;
  posted.serial = adapter.call("ATL_GetSerialNumber", posted.certificate);
  for (const [member, rdn] of [["name", "CN"], ["email", "Email"]]) {
    const dn = adapter.call("ATL_GetCertSubjectDN", posted.certificate);
    posted[member] = adapter.call("ATL_GetRDNFromDN", dn, "MS950", 0, rdn);
  }
  posted.notBefore = adapter.call("ATL_GetCertNotBefore", posted.certificate);
  posted.notAfter = adapter.call("ATL_GetCertNotAfter", posted.certificate);
  posted.closed = page.close();
  posted.needsUpdate = adapter.needsUpdate();
  posted.tried = adapter.tried;
  return posted;
}

function environmentCheck(generation, options, pin, message) {
  const page = new Page(generation, PCSC, options);
  const opened = page.open(pin);
  const { module } = page;
  const shown = {
    version: page.good("ATL_GetCardHCACardVersion", module),
    cardType: page.good("ATL_GetHCACardType", module),
    basic: page.list("ATL_GetHCABasicData", module),
    serial: page.good("ATL_GetHCACardSN", module),
    info: page.list("ATL_GetHCACardInfo", module),
  };
  const done = (handle) => page.adapter.call("ATL_DeleteKeyObject", ...opened, handle);
  let key = page.key(0, "1");
  shown.signature = page.good("ATL_MakeSignature", ...opened, SHA1, message, key);
  done(key);
  key = page.key(1, "1");
  shown.verified = page.good("ATL_VerifySignature", ...opened, SHA1, message, key, shown.signature);
  done(key);
  const type = page.good("ATL_GetCardType", module);
  const version = page.good("ATL_GetCardHCACardVersion", module);
  if (!(type == 1 && version == 1)) {
    key = page.key(1, "2");
    const cipher = page.good("ATL_PublicKeyEncryption", ...opened, RSA, message, key);
    done(key);
    key = page.key(0, "2");
    shown.decrypted = page.good("ATL_PrivateKeyDecryption", ...opened, RSA, cipher, key);
    done(key);
  }
  shown.closed = page.close();
  return shown;
}

function environmentCheckNhi(generation, options, pin, message) {
  const page = new Page(generation, NHI, options);
  [0, 1, 2, 3].find((port) => page.adapter.call("HCA_OpenCOMPort", port) == 0);
  const shown = {
    basic: page.list("HCA_GetBasicData"),
    cardType: page.good("HCA_GetCardType"),
    version: page.good("HCA_GetCardVersion"),
    info: page.list("HCA_GetCardInfo"),
    typeAgain: page.good("HCA_GetCardType"),
    serial: page.good("HCA_GetCardSN"),
    pin: page.good("HCA_VerifyPIN", pin, 0),
  };
  const both = !(shown.cardType == 1 && shown.version == 1);
  // The root's certificate is asked for unless the card is of version 1.
  const wanted = [0, 1, 2, ...(shown.version == 1 ? [] : [3])];
  const certificates = wanted.map((flag) => {
    const certificate = page.adapter.call("HCA_GetCert", flag);
    // A personnel card of version 1 has no second pair, and the page asks all the same.
    const code = page.error();
    if (code != (flag == 2 && !both ? 9100 : 0)) throw new Error(`HCA_GetCert(${flag}): ${code}`);
    return certificate;
  });
  shown.certificate = certificates[1];
  shown.signature = page.good("HCA_SignMessage", message, 0);
  page.good("HCA_LoadCert", certificates[1], 0);
  shown.verified = page.good("HCA_VerifySignMessage", message, shown.signature, 0);
  if (both) {
    page.good("HCA_LoadCert", certificates[2], 0);
    shown.decrypted = page.good("HCA_PrivateDecrypt", page.good("HCA_PublicEncrypt", message, 0), 0);
  }
  shown.closed = page.good("HCA_CloseCOMPort");
  return shown;
}

// Certificate and signature arrive in callbacks; inside them the queue is cleared and the error code fetched.
async function documentSystem(generation, options, pin, message, algorithm) {
  const page = new Page(generation, PCSC, options);
  const opened = page.open(pin);
  const later = (name, ...values) =>
    new Promise((resolve, reject) => {
      page.adapter.queueCallback((result) => {
        page.adapter.clearCallbacks();
        const code = page.error();
        if (code == 0) resolve(result);
        else reject(new Error(`${name}: ${code}`));
      });
      page.adapter.call(name, ...values);
    });
  const certificate = await later("ATL_GetCertificateFromGPKICard", ...opened, 1, "");
  const basic = page.list("ATL_GetHCABasicData", page.module);
  const key = page.key(0, "1");
  const signature = await later("ATL_MakeSignatureEx2", ...opened, algorithm, 0, message, key);
  page.adapter.call("ATL_DeleteKeyObject", ...opened, key);
  return { certificate: certificate.replaceAll("\n", ""), basic, signature, closed: page.close() };
}

function nationalLogin(generation, options, pin, message) {
  const hex = (text) =>
    [...atob(text.replaceAll("\n", ""))]
      .map((character) => character.charCodeAt(0).toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
  const page = new Page(generation, PCSC, options);
  const opened = page.open(pin);
  const certificate = page.good("ATL_GetCertificateFromGPKICard", ...opened, 1, "");
  const key = page.key(0, "1");
  const signature = page.good("ATL_MakeSignatureEx", ...opened, SHA1, message, key);
  page.good("ATL_GetHCACardType", page.module);
  page.list("ATL_GetHCABasicData", page.module);
  return { certificate: hex(certificate), signature: hex(signature).match(/../g).reverse().join("") };
}
