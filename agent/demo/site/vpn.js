// 健保資訊網: four kinds of card by two kinds of reader, each through the component that can do it.

import { attempt, clear, english, enter, openSession, post, show } from "/static/common.js";
import { CARDS, prove, readInsured } from "/static/components.js";

const form = document.getElementById("login");
const message = document.getElementById("message");
const pin = document.getElementById("pin");

const HCA = { chip: "servisign", nhi: "servisign-nhi-reader" };
const HIPKI = { chip: "hipki", nhi: "hipki" };
const WAYS = { institution: HCA, personnel: HCA, "natural-person": HIPKI };
const THROUGH = {
  servisign: "ServiSign",
  "servisign-nhi-reader": "ServiSign, for NHI readers",
  hipki: "HiPKI",
};

const session = openSession();
session.catch((error) => show(message, error));

form.addEventListener("change", () => {
  clear(message);
  setWords();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("submit"), message, logIn);
});
setWords();

async function logIn() {
  const { agent } = await session;
  const role = form.elements.role.value;
  const reader = form.elements.reader.value;
  const typed = pin.value;
  pin.value = "";
  if (role === "insured") {
    const { way, card } = await readInsured({ agent, component: reader === "nhi" });
    await post("/api/login/card", { site: "vpn", way, card });
    await enter("/api/login/password", { password: typed });
    return;
  }
  const proved = await prove({ agent, role, way: WAYS[role][reader], pin: typed });
  await enter("/api/login/signed", { site: "vpn", ...proved });
}

function setWords() {
  const role = form.elements.role.value;
  const reader = form.elements.reader.value;
  const insured = role === "insured";
  document.getElementById("insert").textContent = `請於讀卡機插入您的${CARDS[role].zh}`;
  document.getElementById("through").textContent = insured
    ? (reader === "nhi" ? "Read by the NHI component" : "Read by HCA Card Agent")
    : `Through ${THROUGH[WAYS[role][reader]]}`;
  document.getElementById("pin-label").textContent = insured ? "*健保卡網路服務註冊密碼" : "*PIN";
  const [zh, en] = insured
    ? [
        "健保卡在這裡只能讀取，不能證明是本人，所以改用註冊密碼確認（示範：Nhi-2468）。",
        "The NHI card can only be read here; its registered password says that it is you.",
      ]
    : ["請輸入這張卡片的 PIN 碼。", "The PIN of this card."];
  document.getElementById("pin-note").replaceChildren(zh, english(en));
}
