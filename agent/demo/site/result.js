// What the server verified.

import { facts, logOut, openSession, show, Trouble } from "/static/common.js";

document.getElementById("logout").addEventListener("click", logOut);
openSession().then(load).catch((error) => show(document.getElementById("message"), error));

async function load() {
  const response = await fetch("/api/result", { credentials: "same-origin" });
  const result = await response.json();
  if (!response.ok) throw new Trouble(result.error);
  document.getElementById("number").textContent = result.number;
  facts(document.getElementById("facts"), [
    ["簽章人", "Signed by", result.holder],
    ["憑證序號", "Certificate", result.certificateSerial],
    ["簽發者", "Issuer", result.issuer],
    ["收件時間", "Received", new Date(result.received).toLocaleString("zh-TW")],
  ]);
  document.getElementById("document").textContent = result.document;
  document.getElementById("signature").textContent = result.signature;
  document.getElementById("done").hidden = false;
  document.getElementById("done-title").focus();
}
