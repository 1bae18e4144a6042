// The log-in page: as whom, with which card, and the words for whatever goes wrong.

import { agentFor, attempt, clear, facts, openSession, post, show, Trouble } from "/static/common.js";

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
const KINDS = { certificate: ["hpc"], "institution-certificate": ["hop", "hop-secondary"], nhi: ["nhi"] };
const NOT_NHI = {
  id: "card.not_nhi",
  zh: "讀卡機裡的不是健保卡。",
  en: "The card in the reader is not an NHI card.",
  nextZh: "請改插健保卡後，再按一次「讀取健保卡」。",
  nextEn: "Insert an NHI card and press Read again.",
};

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
  const reader = await readerFor(connected);
  const { nonce } = await post("/api/nonce");
  const token = await connected.authenticate({ nonce, ...reader });
  await post("/api/login", { role: form.elements.role.value, token });
  location.assign("/apply");
}

async function readNhi() {
  nhi.hidden = true;
  const connected = await (await agent).connect();
  const card = await connected.card(await readerFor(connected));
  if (card.kind !== "nhi") throw new Trouble(NOT_NHI);
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

// With one card there is nothing to choose. With several, take the first of the kind that the person named.
async function readerFor(connected) {
  const { readers } = await connected.readers();
  const filled = readers.filter((reader) => reader.state === "card");
  if (filled.length < 2) return {};
  const wanted = KINDS[form.elements.method.value];
  for (const { name } of filled) {
    const card = await connected.card({ reader: name }).catch(() => null);
    if (card && wanted.includes(card.kind)) return { reader: name };
  }
  return { reader: filled[0].name };
}

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
