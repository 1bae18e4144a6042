// What a page does to reach the card through the local signing server of citizen cards (docs/hipki.md): it opens
// that server's own page, which asks what is wanted, and posts the answer back. One request for each popup.

/** `reason`: "unreachable", "popup" (the browser kept it closed), "closed" (the person closed it). */
export class HipkiError extends Error {
  constructor(reason) {
    super(`HiPKI: ${reason}`);
    this.reason = reason;
  }
}

const REACH_MS = 3500;
const LOOK_MS = 300;
const SHAPE = "popup,width=520,height=420";

/** Ask the server at `base` (`http://localhost:61161`) for `request`; its answer, whatever its numbers say. */
export function askHipki(base, request) {
  const popup = window.open(`${base}/popupForm`, "_blank", SHAPE);
  if (!popup) return Promise.reject(new HipkiError("popup"));
  return new Promise((resolve, reject) => {
    let reached = false;
    const end = (settle, value) => {
      clearTimeout(patience);
      clearInterval(looking);
      removeEventListener("message", hear);
      popup.close();
      settle(value);
    };
    const hear = ({ origin, source, data }) => {
      if (origin !== base || source !== popup || typeof data !== "string") return;
      const said = JSON.parse(data);
      if (said.func === "getTbs") {
        reached = true;
        popup.postMessage(JSON.stringify(request), base);
      } else end(resolve, said);
    };
    const patience = setTimeout(() => reached || end(reject, new HipkiError("unreachable")), REACH_MS);
    const looking = setInterval(() => popup.closed && end(reject, new HipkiError("closed")), LOOK_MS);
    addEventListener("message", hear);
  });
}

/** Have the card sign `text`: PKCS#1, or PKCS#7 with the card's number inside. */
export function signThroughHipki(base, pin, text, signatureType) {
  return askHipki(base, {
    func: "MakeSignature",
    tbs: encodeURIComponent(text),
    tbsEncoding: "NONE",
    hashAlgorithm: "SHA256",
    signatureType,
    withCardSN: "true",
    pin: encodeURIComponent(pin),
  });
}
