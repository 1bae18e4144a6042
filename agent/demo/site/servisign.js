// What a page does to reach the card through HCAServiSign (docs/servisign.md): synchronous requests over TLS to
// this device, one form field, everything in base64, and a number to be fetched after each call.

/** A number of the component: 61xxx of its frame, else of its libraries. */
export class ServiSignError extends Error {
  constructor(code) {
    super(`ServiSign ${code}`);
    this.code = Number(code);
  }
}

const UNREACHABLE = 61006;
const NOT_AUTHORISED = 61908;
const FRAME = (code) => code > 61000 && code < 61999;
const SHA256_RSA = 0x40;
const SHA256_FLAG = 2;
const SERIAL_READ_WRITE = 6;
const PRIVATE = 0;
const SIGNATURE = "1";

const toBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const fromBase64 = (text) =>
  new TextDecoder().decode(Uint8Array.from(atob(text ?? ""), (character) => character.charCodeAt(0)));

class Component {
  // library: which of HCA's two, by the number that pages know it by, and what its last error is called.
  constructor(ports, { pathId, errorCode }) {
    this.pathId = pathId;
    this.errorCode = errorCode;
    this.session = "";
    const hosts = ["localhost", "127.0.0.1"];
    for (const base of hosts.flatMap((host) => ports.map((port) => `https://${host}:${port}`))) {
      this.base = base;
      const reply = this.post({ functionname: "Echo" });
      if (!reply) continue;
      const code = Number(fromBase64(reply.result));
      if (code === 0) {
        this.session = fromBase64(reply.SessionID);
        return;
      }
      if (code === NOT_AUTHORISED) throw new ServiSignError(code);
    }
    throw new ServiSignError(UNREACHABLE);
  }

  /** Call a library function; texts are marked as such, numbers go as they are. Throws what it refuses with. */
  call(name, values = {}) {
    const result = this.bare(name, values);
    const code = Number(this.bare(this.errorCode, {}));
    if (code) throw new ServiSignError(code);
    return result;
  }

  list(name, values) {
    return this.call(name, values).split(";").slice(0, -1);
  }

  release() {
    this.post({ functionname: "ServiSignRelease" });
  }

  bare(name, values) {
    const request = { functionname: name, ServiSignFunctionIndex: 0 };
    for (const [key, value] of Object.entries(values)) {
      if (typeof value === "number") request[key] = value;
      else {
        request[`${key}_ServiSignBase64Flag`] = true;
        request[key] = encodeURIComponent(toBase64(value));
      }
    }
    const reply = this.post(request);
    if (!reply) throw new ServiSignError(UNREACHABLE);
    const result = fromBase64(reply.result);
    if (FRAME(Number(result))) throw new ServiSignError(result);
    return result;
  }

  post(request) {
    const whole = {
      ...request,
      comname: "",
      libdir: "",
      sessionid: this.session,
      ServiSignTabMode: 0,
      ServiSignBrowser: "Chrome",
      JSVersion: "1.0.18.1219",
      minlibversion: "0.0.0.0",
      minserverversion: "0.0.0.0",
      InstallerName: "HCAServiSignAdapterSetup",
      PathID: this.pathId,
      ServiSignJSGenTime: "2020-03-10 13:29:41",
      AdapterJsonKeyCheck: true,
    };
    const xhr = new XMLHttpRequest();
    try {
      xhr.open("POST", this.base, false);
      xhr.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
      xhr.send(`Parameter=${encodeURIComponent(toBase64(JSON.stringify(whole)))}`);
      return JSON.parse(xhr.responseText);
    } catch {
      return null;
    }
  }
}

const PCSC = { pathId: "6BD4EA2493354E298DD0B09B72A5EA59", errorCode: "ATL_GetErrorCode" };
const NHI_READER = { pathId: "18463EED6A6E496BB4381EA090DA5882", errorCode: "GetErrorCode" };

/**
 * Have the card sign `text` through the PC/SC library, for an ordinary reader.
 *
 * `check` is given the card's type ("0" institution, "1" personnel) before the PIN goes anywhere, and may throw.
 */
export function signThroughPcsc(ports, pin, text, check) {
  const component = new Component(ports, PCSC);
  try {
    const ulModuleHandle = Number(component.call("ATL_InitModule", { moduleName: "HCAPKCS11.dll", initArgs: "" }));
    check(component.call("ATL_GetHCACardType", { ulModuleHandle }));
    const opened = { ulModuleHandle, iFlags: SERIAL_READ_WRITE, userPin: pin };
    const session = { ulModuleHandle, ulSessionHandle: Number(component.call("ATL_InitSession", opened)) };
    const certificate = component.call("ATL_GetCertificateFromGPKICard", { ...session, iCertId: 1, readerName: "" });
    const ulPvKeyObject = Number(
      component.call("ATL_GetKeyObjectHandle", { ...session, iKeyType: PRIVATE, key_id: "", param: SIGNATURE }),
    );
    const signature = component.call("ATL_MakeSignatureEx2", {
      ...session, ulAlgorithm: SHA256_RSA, ulEndianness: 0, b64Data: toBase64(text), ulPvKeyObject,
    });
    component.call("ATL_CloseSession", session);
    component.call("ATL_CloseModule", { ulModuleHandle });
    return { certificate, signature };
  } finally {
    component.release();
  }
}

/** The same through the NHI-reader library: one card, no handles, ports tried until one answers. */
export function signThroughNhiReader(ports, pin, text, check) {
  const component = new Component(ports, NHI_READER);
  try {
    component.call("HCA_OpenCOMPort", { comport: 0 });
    check(component.call("HCA_GetCardType"));
    component.call("HCA_VerifyPIN", { pincode: pin, flag: 0 });
    const certificate = component.call("HCA_GetCert", { flag: 1 });
    const signature = component.call("HCA_SignMessageEx2", {
      data: toBase64(text), hashflag: SHA256_FLAG, flag: 0,
    });
    component.call("HCA_CloseCOMPort");
    return { certificate, signature };
  } finally {
    component.release();
  }
}
