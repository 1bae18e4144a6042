// 健保卡登入: the card is read, its ID number compared, and the registered password says who it is.

import { attempt, english, enter, facts, openSession, post, show } from "/static/common.js";
import { readInsured } from "/static/components.js";

const read = document.getElementById("read");
const confirm = document.getElementById("confirm");
const message = document.getElementById("message");
const password = document.getElementById("password");

const session = openSession();
session.catch((error) => show(message, error));

read.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("submit"), message, readCard);
});
confirm.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("confirm-submit"), document.getElementById("confirm-message"), logIn);
});
document.getElementById("back").addEventListener("click", () => {
  confirm.hidden = true;
  read.hidden = false;
  document.getElementById("id-number").focus();
});

async function readCard() {
  const { agent } = await session;
  const { way, card, note } = await readInsured({ agent, component: true });
  await post("/api/login/card", { site: "euservice", way, card, idNumber: document.getElementById("id-number").value });
  facts(document.getElementById("facts"), [
    ["姓名", "Name", card.name],
    ["身分證字號", "ID number", card.idNumber],
    ["健保卡號", "Card number", card.number],
  ]);
  const noteShown = document.getElementById("note");
  noteShown.replaceChildren(...(note ? [note.zh, english(note.en)] : []));
  noteShown.hidden = !note;
  read.hidden = true;
  confirm.hidden = false;
  document.getElementById("confirm-title").focus();
}

async function logIn() {
  const typed = password.value;
  password.value = "";
  await enter("/api/login/password", { password: typed });
}
