// 勞工健檢申報系統: account, password and captcha first, so that a slip in them costs no PIN try; then the card.

import { attempt, clear, enter, english, openSession, post, show } from "/static/common.js";
import { prove } from "/static/components.js";

const form = document.getElementById("login");
const message = document.getElementById("message");
const picture = document.getElementById("captcha-picture");
const words = document.getElementById("captcha-words");
const answer = document.getElementById("captcha");
const pin = document.getElementById("pin");

const session = openSession();
session.then(newPicture).catch((error) => show(message, error));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("submit"), message, logIn);
});
form.addEventListener("change", ({ target }) => target.name === "role" && clear(message));
document.getElementById("captcha-new").addEventListener("click", newPicture);
document.getElementById("captcha-in-words").addEventListener("click", () => inWords().catch((error) => show(message, error)));

async function logIn() {
  const { agent } = await session;
  const role = form.elements.role.value;
  const typed = pin.value;
  pin.value = "";
  try {
    await post("/api/login/account", {
      role,
      account: document.getElementById("account").value,
      password: document.getElementById("password").value,
      captcha: answer.value,
    });
    const way = role === "personnel" ? "servisign" : "hipki";
    const proved = await prove({ agent, role, way, pin: typed, format: "PKCS7" });
    await enter("/api/login/signed", { site: "hcd", ...proved });
  } catch (error) {
    // Each captcha is good once, whatever came of it.
    await (words.hidden ? newPicture() : inWords()).catch(() => {});
    throw error;
  }
}

async function newPicture() {
  words.hidden = true;
  picture.hidden = false;
  answer.value = "";
  picture.src = `/api/captcha.svg?${Date.now()}`;
}

async function inWords() {
  const asked = await post("/api/captcha");
  picture.hidden = true;
  words.replaceChildren(asked.zh, " ", english(asked.en));
  words.hidden = false;
  answer.value = "";
  answer.focus();
}
