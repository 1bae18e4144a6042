// Behind a log-in through one of the older components: who it is, and what that rests on.

import { english, facts, logOut, openSession, show } from "/static/common.js";

const SITES = {
  euservice: ["醫事人員及醫事機構線上申辦系統", "Healthcare personnel and institutions online"],
  hcd: ["勞工健檢申報系統", "Labour health examination reporting"],
  vpn: ["健保資訊網", "NHI information network"],
};
const WAYS = {
  native: "HCA Card Agent",
  servisign: "ServiSign",
  "servisign-nhi-reader": "ServiSign（健保讀卡機）",
  hipki: "HiPKI",
  "nhi-component": "健保卡元件 NHI component",
  "native-read": "HCA Card Agent（讀取 reading）",
};
const SIGNED = [
  ["卡片簽了伺服器這次給的文字，不能重送。", "The card signed this session's text of the server; it cannot be replayed."],
  ["憑證有效、未廢止，由可信任的（模擬）憑證管理中心簽發。", "The certificate is valid, not revoked, and of the trusted (simulated) CA."],
  ["憑證的種類與選擇的身分相符，而且這個人已登記。", "It is of the kind that was chosen, and its holder is registered here."],
];
const READ = [
  ["健保卡的資料是網頁讀來的，本身不是證明。", "What the page read from the NHI card proves nothing by itself."],
  ["註冊密碼正確，而且這個人已登記。", "The registered password was right, and its holder is registered here."],
];

document.getElementById("logout").addEventListener("click", logOut);
openSession().then(load).catch((error) => show(document.getElementById("message"), error));

function load({ signedIn: who }) {
  if (!who) {
    location.assign("/");
    return;
  }
  document.getElementById("who-name").textContent = who.name;
  document.getElementById("who-duty").textContent = `${who.duty.zh} ${who.duty.en}`;
  facts(document.getElementById("facts"), [
    ["網站", "Site", SITES[who.site][0]],
    ["經由", "Through", WAYS[who.way]],
    ["卡號", "Card", who.cardNumber],
    ["機構代碼", "Institution", who.institutionCode],
    ["簽發者", "Issuer", who.issuer],
    ["憑證到期", "Valid until", who.validUntil],
  ]);
  document.getElementById("checks").replaceChildren(...(who.certificate ? SIGNED : READ).map(([zh, en]) => {
    const item = document.createElement("li");
    item.append(zh, english(en));
    return item;
  }));
  document.getElementById("apply").hidden = !(who.certificate && who.site === "euservice");
  document.getElementById("done").hidden = false;
  document.getElementById("done-title").focus();
}
