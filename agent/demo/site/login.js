// The log-in page: as whom, with which card, and the words for whatever goes wrong.

import { agentFor, attempt, clear, facts, openSession, post, show } from "/static/common.js";

const form = document.getElementById("login");
const button = document.getElementById("submit");
const message = document.getElementById("message");
const nhi = document.getElementById("nhi");

const WORDS = {
  certificate: ["請於讀卡機插入您的醫事憑證", "Insert your personnel card into the reader", "送出", "Submit"],
  "institution-certificate": [
    "請於讀卡機插入您的醫事機構憑證", "Insert your institution card into the reader", "送出", "Submit",
  ],
  nhi: ["請於讀卡機插入您的健保卡", "Insert your NHI card into the reader", "讀取健保卡", "Read the NHI card"],
};
// The kinds of card that the agent may use: a card of another kind is refused before its PIN is asked.
const KINDS = { certificate: ["hpc"], "institution-certificate": ["hop", "hop-secondary"], nhi: ["nhi"] };

const session = openSession();
session.catch((error) => show(message, error));
const agent = session.then((opened) => agentFor(opened.agent, message));

form.addEventListener("change", (event) => {
  if (event.target.name === "role") offerMethods(event.target.value);
  clear(message);
  nhi.hidden = true;
  setWords();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(button, message, form.elements.method.value === "nhi" ? readNhi : logIn);
});
setWords();

async function logIn() {
  await session;
  const connected = await (await agent).connect();
  const { nonce } = await post("/api/nonce");
  const token = await connected.authenticate({ nonce, cardKind: wantedKinds() });
  await post("/api/login", { role: form.elements.role.value, token });
  location.assign("/apply");
}

async function readNhi() {
  nhi.hidden = true;
  const connected = await (await agent).connect();
  const card = await connected.card({ cardKind: wantedKinds() });
  const holder = card.holder ?? {};
  facts(document.getElementById("nhi-facts"), [
    ["姓名", "Name", holder.name],
    ["身分證字號", "ID number", holder.idNumber],
    ["出生日期", "Born", rocDate(holder.birth)],
    ["性別", "Sex", { M: "男 Male", F: "女 Female" }[holder.sex] ?? ""],
    ["健保卡號", "Card number", card.serial],
    ["發卡日期", "Issued", rocDate(card.issued)],
    ["卡片", "Card", card.simulated ? "模擬卡 Simulated" : "健保卡"],
  ]);
  nhi.hidden = false;
  nhi.scrollIntoView({ block: "nearest" });
}

const wantedKinds = () => KINDS[form.elements.method.value];

function offerMethods(role) {
  for (const label of document.querySelectorAll("#methods .choice")) {
    label.hidden = label.dataset.for !== role;
  }
  form.elements.method.value = role === "institution" ? "institution-certificate" : "certificate";
}

function setWords() {
  const method = form.elements.method.value;
  const [zh, en, press, pressEn] = WORDS[method];
  document.getElementById("insert").textContent = zh;
  document.getElementById("insert-en").textContent = en;
  document.getElementById("submit-text").textContent = press;
  document.getElementById("submit-en").textContent = pressEn;
  document.getElementById("pin-hint").hidden = method === "nhi";
}

function rocDate(text) {
  const found = /^(-?\d{2,3})(\d{2})(\d{2})$/.exec(text ?? "");
  if (!found) return text ?? "";
  const year = Number(found[1]);
  return year < 0 ? `民國前 ${-year} 年 ${found[2]} 月 ${found[3]} 日` : `民國 ${year} 年 ${found[2]} 月 ${found[3]} 日`;
}
