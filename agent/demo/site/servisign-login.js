// 醫事憑證 and 醫事機構憑證 as today's portals do it: the PIN is typed in the page, and ServiSign signs.

import { attempt, clear, enter, openSession, show } from "/static/common.js";
import { prove } from "/static/components.js";

const form = document.getElementById("login");
const message = document.getElementById("message");
const pin = document.getElementById("pin");

const WORDS = {
  personnel: ["醫事憑證", "Personnel certificate", "請於讀卡機插入您的醫事憑證", "Insert your personnel card into the reader"],
  institution: [
    "醫事機構憑證", "Institution certificate", "請於讀卡機插入您的醫事機構憑證", "Insert your institution card into the reader",
  ],
};

const session = openSession();
session.catch((error) => show(message, error));

form.addEventListener("change", ({ target }) => {
  if (target.name !== "role") return;
  const ids = ["method", "method-en", "insert", "insert-en"];
  WORDS[target.value].forEach((text, index) => (document.getElementById(ids[index]).textContent = text));
  clear(message);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(document.getElementById("submit"), message, logIn);
});

async function logIn() {
  const { agent } = await session;
  const typed = pin.value;
  pin.value = "";
  const proved = await prove({ agent, role: form.elements.role.value, way: "servisign", pin: typed });
  await enter("/api/login/signed", { site: "euservice", ...proved });
}
