// What every page of the demo portal shares: its server, the agent, and how a refusal is shown.

import { HcaAgent } from "/static/agent.js";

/** A refusal with the two sentences a person reads; the agent's own is `HcaAgentError`, of the same shape. */
export class Trouble extends Error {
  constructor({ id, zh, en, nextZh = "", nextEn = "", triesLeft = null }) {
    super(`${id}: ${en}`);
    Object.assign(this, { id, zh, en, nextZh, nextEn, triesLeft });
  }
}

const OFFLINE = {
  id: "portal.unreachable",
  zh: "無法連線到本網站。",
  en: "This site cannot be reached.",
  nextZh: "請確認網路連線後再試一次。",
  nextEn: "Check the network and try again.",
};

const UNKNOWN = {
  id: "page.failed",
  zh: "網頁發生錯誤。",
  en: "Something went wrong in this page.",
  nextZh: "請重新整理頁面再試。",
  nextEn: "Reload the page and try again.",
};
const STATES = {
  "agent.not_running": "元件未啟動",
  "agent.blocked": "瀏覽器未允許連線",
  "origin.refused": "元件拒絕本網站",
  "agent.too_old": "元件版本太舊",
};

const WAITING = [
  "請回答 HCA Card Agent 在它的視窗或終端機的詢問。",
  "Please answer HCA Card Agent, which is asking in its own window or terminal.",
];
const PATIENCE_MS = 1200;

let csrf = "";
let opened = null;

/** Who is logged in, and where the local programs listen; asked once for all that is in the page. */
export function openSession() {
  opened ??= call("/api/session", { method: "GET" }).then((session) => {
    csrf = session.csrf;
    return session;
  });
  return opened;
}

/** Send `body` to our own server; throws `Trouble`. */
export async function post(path, body = {}) {
  return call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
}

async function call(path, options) {
  let response;
  let answer;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
    answer = await response.json();
  } catch {
    throw new Trouble(OFFLINE);
  }
  if (!response.ok) throw new Trouble(answer.error ?? OFFLINE);
  return answer;
}

/** The agent where this portal expects it; its state is shown at the top, and trouble in `box`. */
export function agentFor({ plainPort, tlsPorts }, box) {
  const agent = new HcaAgent({ plainPort, tlsPorts });
  state("connecting", "正在連線元件…");
  const connect = agent.connect.bind(agent);
  agent.connect = async (options) => {
    try {
      await connect(options);
      state("ready", `元件已連線 ${agent.hello.version}${agent.hello.simulated ? "（模擬卡）" : ""}`);
      return agent;
    } catch (error) {
      state("trouble", STATES[error.id] ?? "元件無法連線");
      throw error;
    }
  };
  agent.addEventListener("disconnected", () => state("trouble", "元件已中斷"));
  agent.addEventListener("card.changed", ({ detail }) => {
    if (detail.reader.state === "card" && box.dataset.error?.match(/^(card|reader)\./)) cardIsBack(box);
  });
  agent.connect().catch((error) => show(box, error));
  return agent;
}

function state(name, words) {
  const shown = document.getElementById("agent-state");
  shown.dataset.state = name;
  shown.hidden = false;
  document.getElementById("agent-text").textContent = words;
}

function cardIsBack(box) {
  tell(box, "已偵測到卡片，請再試一次。", "A card is in the reader. Please try again.");
}

/** Say something that is no trouble. */
export function tell(box, zh, en) {
  box.replaceChildren(line("say", zh, en));
  box.classList.add("calm");
  delete box.dataset.error;
  box.hidden = false;
}

/** Hand a proof to our own server, and go on to the page behind the log-in. */
export async function enter(path, body) {
  const { signedIn } = await post(path, body);
  location.assign(signedIn.home);
}

/** Log out and go back to the first page. */
export async function logOut() {
  try {
    await post("/api/logout");
  } finally {
    location.assign("/");
  }
}

/** Show a refusal: what happened, what to do next, and how many PIN tries are left. */
export function show(box, error) {
  const trouble = error.zh ? error : new Trouble(UNKNOWN);
  if (trouble !== error) console.error(error?.stack ?? error);
  const parts = [line("say", trouble.zh, trouble.en)];
  if (trouble.triesLeft !== null) parts.push(pips(trouble.triesLeft));
  if (trouble.nextZh) parts.push(line("", trouble.nextZh, trouble.nextEn));
  box.replaceChildren(...parts);
  box.classList.remove("calm");
  box.dataset.error = trouble.id;
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

export function clear(box) {
  box.hidden = true;
  box.replaceChildren();
  delete box.dataset.error;
}

/** Mark a button as working; a busy button ignores clicks but keeps the focus. */
export function busy(button, on) {
  button.setAttribute("aria-busy", String(on));
  button.setAttribute("aria-disabled", String(on));
}

/** Run `work` once at a time for `button`, and show what it refuses in `box`. */
export async function attempt(button, box, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  clear(box);
  busy(button, true);
  const waiting = setTimeout(tell, PATIENCE_MS, box, ...WAITING);
  try {
    await work();
    clear(box);
  } catch (error) {
    show(box, error);
  } finally {
    clearTimeout(waiting);
    busy(button, false);
  }
}

/** Fill a description list with [Chinese, English, value] rows; empty values are left out. */
export function facts(list, rows) {
  list.replaceChildren(
    ...rows.filter(([, , value]) => value).flatMap(([zh, en, value]) => {
      const term = document.createElement("dt");
      term.append(`${zh} `, english(en));
      const text = document.createElement("dd");
      text.textContent = value;
      return [term, text];
    }),
  );
}

export function english(text) {
  const span = document.createElement("span");
  span.className = "en";
  span.lang = "en";
  span.textContent = text;
  return span;
}

function line(name, zh, en) {
  const paragraph = document.createElement("p");
  if (name) paragraph.className = name;
  paragraph.append(zh, " ", english(en));
  return paragraph;
}

// The sentence says the number; these show it.
function pips(left) {
  const row = document.createElement("p");
  row.className = "tries";
  row.dataset.tries = String(left);
  row.setAttribute("aria-hidden", "true");
  for (let index = 0; index < Math.max(3, left); index += 1) {
    const pip = document.createElement("span");
    pip.className = index < left ? "pip left" : "pip";
    row.append(pip);
  }
  return row;
}
