// The form, the exact text that will be signed, and its signature by the card.

import { agentFor, attempt, clear, facts, logOut, openSession, post, show } from "/static/common.js";

const form = document.getElementById("form");
const review = document.getElementById("review");
const message = document.getElementById("message");
const formMessage = document.getElementById("form-message");

const MEMBERS = {
  申辦項目: "Kind", 案號: "Number", 申請人: "Applicant", 支援地點: "Place",
  支援日期: "Dates", 支援時間: "Times", 受理網站: "Site",
};

const session = openSession();
const agent = session.then((opened) => agentFor(opened.agent, formMessage));
let text = "";

session.then(({ signedIn }) => {
  if (!signedIn) {
    location.assign("/");
    return;
  }
  document.getElementById("who-name").textContent = signedIn.name;
  document.getElementById("who-card").textContent =
    signedIn.role === "institution" ? `醫療(事)機構 ${signedIn.institutionCode}` : `醫事人員 卡號 ${signedIn.cardNumber}`;
}).catch((error) => show(formMessage, error));

for (const name of ["firstDay", "lastDay"]) form.elements[name].value = inDays(7);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("review-button"), formMessage, prepare);
});
document.getElementById("back").addEventListener("click", () => {
  review.hidden = true;
  form.hidden = false;
  form.elements.place.focus();
});
document.getElementById("sign").addEventListener("click", (event) => {
  attempt(event.currentTarget, message, sign);
});
document.getElementById("logout").addEventListener("click", logOut);

async function prepare() {
  await session;
  const prepared = await post("/api/prepare", Object.fromEntries(new FormData(form)));
  text = prepared.document;
  const members = JSON.parse(text);
  facts(
    document.getElementById("review-facts"),
    Object.entries(MEMBERS).map(([member, en]) => [member, en, members[member]]),
  );
  document.getElementById("document").textContent = text;
  clear(message);
  form.hidden = true;
  review.hidden = false;
  document.getElementById("review-title").focus();
}

async function sign() {
  const connected = await (await agent).connect();
  const { signedIn } = await session;
  const reader = await readerOf(connected, signedIn.certificate);
  const signed = await connected.sign({ document: new TextEncoder().encode(text), ...reader });
  await post("/api/sign", { signature: signed.signature });
  location.assign("/result");
}

// With several cards in readers, the one that logged in: its signature certificate says which it is.
async function readerOf(connected, certificate) {
  const { readers } = await connected.readers();
  const filled = readers.filter((reader) => reader.state === "card");
  if (filled.length < 2) return {};
  for (const { name } of filled) {
    const found = await connected.certificates({ reader: name }).catch(() => null);
    if (found?.certificates.some((one) => one.certificate === certificate)) return { reader: name };
  }
  return {};
}

function inDays(days) {
  const day = new Date();
  day.setDate(day.getDate() + days);
  const two = (number) => String(number).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}
