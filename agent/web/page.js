// The self-test page: asks the agent for the rows, shows each as it finishes, hands out the report.

import { BROWSER_ROWS, browserRows } from "/browser-check.js";
import { connectedAgent, meta, takeToken } from "/own-page.js";

const MARKS = { pass: "✓", warn: "!", fail: "✕", skip: "–", waiting: "", running: "" };
const STATES = {
  pass: ["通過", "passed"],
  warn: ["注意", "warning"],
  fail: ["失敗", "failed"],
  skip: ["未執行", "not run"],
};
// The rows that the HCA page shows first, in its order, whoever finds them out.
const BASIC = ["basic.os", "browser.version", "browser.cookie", "basic.java", "browser.javascript", "basic.environment"];

const element = (id) => document.getElementById(id);
const [nativePort, tlsPort] = meta("agent-ports").split(",").map(Number);
const form = element("choose");

let agent = null;
let running = null;
let rows = new Map(); // by id, as the report has them
let own = []; // the browser's rows, as this page found them
let files = new Map(); // reports, by whether they are unmasked

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) begin();
});
element("stop").addEventListener("click", () => running?.abort());
element("save-html").addEventListener("click", () => save("html"));
element("save-json").addEventListener("click", () => save("json"));
element("unmasked").addEventListener("change", reveal);

const ERRANDS = JSON.parse(meta("errands"));
for (const name of Object.keys(ERRANDS.words)) element("door-buttons").append(door(name));

connect().catch(showTrouble);

async function connect() {
  if (agent?.connected) return agent;
  agent = await connectedAgent(900_000, (made) => {
    made.addEventListener("selftest.begun", ({ detail }) => plan(detail));
    made.addEventListener("selftest.row", ({ detail }) => finish(fromAgent(detail.row)));
    made.addEventListener("disconnected", () => say("trouble", "沒有回應", "No answer"));
  });
  say("ready", "正在執行", "Running");
  return agent;
}

/** A button that has the agent do something, which the person confirms in the agent's own window. */
function door(name) {
  const [zh, en, line] = ERRANDS.words[name];
  const button = make("button", "quiet door");
  button.type = "button";
  button.dataset.errand = name;
  button.title = `管理者 Administrators: ${line}`;
  words(button, zh, en);
  button.addEventListener("click", () => haveDone(name));
  return button;
}

async function haveDone(name) {
  const [zh, en] = ERRANDS.words[name];
  tellCalmly(`${zh}：請看本程式的視窗。`, `${en}: see this program’s window.`);
  try {
    const done = await (await connect()).call("errand.run", { errand: name });
    if (done.zh) tellCalmly(done.zh, done.en);
    else element("message").hidden = true;
  } catch (error) {
    showTrouble(error);
  }
}

function tellCalmly(zh, en) {
  const box = element("message");
  box.className = "message calm";
  words(box, zh, en);
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

async function begin() {
  const wanted = new FormData(form);
  running = new AbortController();
  clear();
  layOut(true);
  try {
    const { signal } = running;
    const connected = await connect();
    const checked = checkBrowser();
    const params = { variant: wanted.get("variant"), pin: wanted.has("pin") };
    const { report } = await connected.call("selftest.run", params, { signal });
    await checked;
    conclude(report);
  } catch (error) {
    if (error.name === "AbortError") stopped();
    else showTrouble(error);
  } finally {
    running = null;
    layOut(false);
  }
}

async function checkBrowser() {
  for await (const found of browserRows({ nativePort, tlsPort, token: takeToken })) {
    own.push(found);
    finish(fromBrowser(found));
  }
}

function clear() {
  rows = new Map();
  own = [];
  files = new Map();
  element("groups").replaceChildren();
  element("said").replaceChildren();
  element("now").replaceChildren();
  element("unmasked").checked = false;
  for (const id of ["verdict", "message", "report", "simulated"]) element(id).hidden = true;
}

function layOut(busy) {
  document.body.classList.toggle("running", busy);
  element("progress").hidden = !busy;
  element("stop").hidden = !busy;
  element("start").setAttribute("aria-disabled", String(busy));
  words(element("start"), busy ? "檢測中" : "重新檢測", busy ? "Testing" : "Test again");
  if (busy) say("busy", "檢測中", "Testing");
  else if (agent?.connected) say("ready", "正在執行", "Running");
}

/** Every row that will come, in its place. */
function plan({ rows: planned, groups }) {
  const browser = BROWSER_ROWS.map(([id, zh, en]) => ({ id, title: { zh, en }, group: "browser", number: null }));
  const all = new Map([...planned, ...browser].map((each) => [each.id, each]));
  const first = BASIC.filter((id) => all.has(id)).map((id) => all.get(id));
  const rest = [...all.values()].filter(({ id }) => !BASIC.includes(id));
  // The HCA page's own parts first, as help-desk notes have them; then what ours adds.
  const order = ["basic", "card", "hca", "nhi", "certificate", "host", "browser"];
  for (const group of order) {
    const members = group === "basic" ? first : rest.filter((each) => each.group === group);
    if (members.length > 0) element("groups").append(section(group, groups[group], members));
  }
  element("bar").max = all.size;
  for (const [id, row] of rows) {
    place(id, row);
    tell(row);
  }
  markRunning();
}

function section(group, title, members) {
  const box = make("details", "group");
  box.open = true;
  const heading = make("h2");
  words(heading, title.zh, title.en);
  const summary = make("summary");
  summary.append(heading, make("span", "count"));
  const list = make("ol", "rows");
  list.append(...members.map(waiting));
  box.append(summary, list);
  return box;
}

/** How many rows of a part ended in which way; all parts but the results fold away where nothing failed. */
function fold() {
  for (const box of document.querySelectorAll(".group")) {
    const count = (status) => box.querySelectorAll(`[data-status="${status}"]`).length;
    const states = ["fail", "warn", "pass"].filter((status) => count(status) > 0);
    const counts = states.map((status) => {
      const part = make("span", status);
      part.textContent = `${STATES[status][0]} ${count(status)}`;
      return part;
    });
    box.querySelector(".count").replaceChildren(...counts);
    box.open = count("fail") > 0 || box.querySelector('[id^="row-hca"], [id^="row-nhi"]') !== null;
  }
}

function waiting({ id, title, number, person }) {
  const item = make("li", "row");
  item.id = `row-${id}`;
  item.dataset.status = "waiting";
  if (person) item.dataset.person = "";
  const mark = make("span", "mark");
  mark.setAttribute("aria-hidden", "true");
  const name = make("span", "title");
  words(name, number ? `${number}. ${title.zh}` : title.zh, title.en);
  item.append(mark, name, make("span", "detail"), make("span", "ms"));
  return item;
}

function finish(row) {
  rows.set(row.id, row);
  if (!place(row.id, row)) return; // the browser was quicker than the plan, which will place it
  tell(row);
  markRunning();
}

/** For who does not see the page. */
function tell(row) {
  const [zh] = STATES[row.status];
  const announcement = make("span");
  announcement.textContent = `${row.title.zh}：${zh}。${row.status === "fail" && row.error ? row.error.zh : ""} `;
  element("said").append(announcement);
  element("bar").value = rows.size;
}

/** Show a row in its place; false while there is none yet. */
function place(id, row) {
  const item = element(`row-${id}`);
  if (!item) return false;
  item.dataset.status = row.status;
  const [mark, , detail, ms] = item.children;
  mark.textContent = MARKS[row.status];
  mark.removeAttribute("aria-hidden");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", STATES[row.status].join(" "));
  words(detail, row.detail.zh.replaceAll("；", "\n"), row.detail.en);
  ms.textContent = row.ms > 0 || row.status !== "skip" ? `${row.ms} ms` : "";
  item.querySelector(".trouble")?.remove();
  if (row.error && row.status !== "pass") item.append(troubleBox(row.error));
  return true;
}

function troubleBox({ id, zh, en, next, same_as: first }) {
  const box = make("div", "trouble");
  const what = make("p", "what");
  const code = make("code");
  code.textContent = id;
  if (first !== undefined) {
    const { title } = rows.get(first);
    words(what, `原因同「${title.zh}」。`, `The same cause as “${title.en}”.`);
    box.append(what, code);
    return box;
  }
  words(what, zh, en);
  const todo = make("p", "next");
  words(todo, `→ ${next.zh}`, next.en);
  box.append(what, todo, ...(ERRANDS.helps[id] ? [door(ERRANDS.helps[id])] : []), code);
  return box;
}

function markRunning() {
  for (const item of document.querySelectorAll('[data-status="running"]')) item.dataset.status = "waiting";
  const next = document.querySelector('[data-status="waiting"]:not([id^="row-browser"])');
  if (!next || !running) return;
  next.dataset.status = "running";
  const title = next.querySelector(".title");
  const asked = "person" in next.dataset ? "　請看本程式的視窗或終端機 · see the program’s window or terminal" : "";
  element("now").textContent = `${rows.size} / ${element("bar").max}　${title.firstChild.textContent}${asked}`;
}

function conclude(report) {
  element("simulated").hidden = !report.simulated;
  const asked = report.rows.filter(({ id, absent }) => /^(hca|nhi)\./.test(id) && !absent);
  const ended = report.rows.some(({ status, error }) => status === "fail" && ENDED.includes(error?.id));
  const good = asked.filter(({ status }) => status === "pass").length;
  const failing = [...rows.values()]
    .filter(({ status }) => status === "fail")
    .sort((a, b) => urgency(a) - urgency(b));
  fold();
  const box = element("verdict");
  box.dataset.state = !report.ok ? "bad" : failing.length > 0 ? "part" : "good";
  const title = element("verdict-title");
  title.textContent = report.ok
    ? `檢測結果 ${good} 列全部通過`
    : `檢測結果 ${asked.length} 列中通過 ${good} 列`;
  element("verdict-en").textContent = report.ok ? `All ${good} rows of the results passed` : `${good} of ${asked.length} rows passed`;
  if (ended) {
    title.textContent = `這張卡片的憑證已過期或已廢止，不能再用。${title.textContent}`;
    element("verdict-en").textContent = `This card's certificate has expired or is revoked, and the card is of no more use. ${element("verdict-en").textContent}`;
  }
  if (failing.length > 0) {
    title.textContent += "，請先處理：";
    element("verdict-en").textContent += "; what to do first:";
  }
  element("to-do").replaceChildren(...toDo(failing));
  box.hidden = false;
  element("report").hidden = false;
  box.scrollIntoView({ block: "nearest" });
  title.focus({ preventScroll: true });
}

/** What makes a card useless whatever else passed. */
const ENDED = ["certificate.expired", "certificate.revoked"];

/** A card that does not work ends a person's day; what is wrong with the computer comes after it. */
const urgency = ({ id }) => (/^(card|hca|nhi)\./.test(id) ? 0 : 1);

/** What to do, each once, however many rows wait for it. */
function toDo(failing) {
  const rowOfError = new Map();
  for (const row of failing) {
    if (row.error && row.error.same_as === undefined && !rowOfError.has(row.error.id)) rowOfError.set(row.error.id, row);
  }
  return [...rowOfError.values()].map(({ id, title, error }) => {
    const item = make("li");
    const link = make("a");
    link.href = `#row-${id}`;
    link.textContent = title.zh;
    link.addEventListener("click", () => (element(`row-${id}`).closest("details").open = true));
    const next = make("span");
    words(next, `：${error.zh}${error.next.zh}`, `${error.en} ${error.next.en}`);
    item.append(link, next);
    return item;
  });
}

function stopped() {
  agent?.close();
  tellCalmly("檢測已停止。", "The self-test was stopped.");
}

function showTrouble(error) {
  const box = element("message");
  box.className = "message";
  box.dataset.error = error.id ?? "";
  const known = error.zh ? error : GONE;
  const what = make("strong");
  what.textContent = known.zh;
  const next = make("span");
  next.textContent = known.nextZh;
  const english = make("span", "en");
  english.lang = "en";
  english.textContent = `${known.en} ${known.nextEn}`;
  box.replaceChildren(what, next, english);
  box.hidden = false;
  if (!agent?.connected) say("trouble", "沒有回應", "No answer");
}

const GONE = {
  zh: "連不到本程式。",
  en: "This program cannot be reached.",
  nextZh: "請啟動 HCA Card Agent，再重新整理這一頁。",
  nextEn: "Start HCA Card Agent, then reload this page.",
};

/** Ticked: the person is asked in the agent's own window whether this page may show everything. */
async function reveal() {
  const box = element("unmasked");
  try {
    const { report } = await fetchReport(box.checked);
    element("message").hidden = true;
    for (const row of report.rows) place(row.id, fromAgent(row));
  } catch (error) {
    box.checked = false;
    showTrouble(error);
  }
}

/** The report; the person is asked once for an unmasked one, not for each use of it. */
async function fetchReport(unmasked) {
  if (!files.has(unmasked)) {
    if (!agent?.connected) throw GONE;
    files.set(unmasked, await agent.call("selftest.report", { browser: own, unmasked }));
  }
  return files.get(unmasked);
}

async function save(kind) {
  try {
    const { html, report } = await fetchReport(element("unmasked").checked);
    const [text, type] = kind === "html" ? [html, "text/html"] : [JSON.stringify(report, null, 2), "application/json"];
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = `hca-agent-selftest.${kind}`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(URL.revokeObjectURL, 10_000, link.href);
  } catch (error) {
    showTrouble(error);
  }
}

function fromAgent({ id, title, status, detail, ms, error }) {
  return { id, title, status, ms, detail: parted(detail), error: error && { ...error, next: parted(error.next) } };
}

function fromBrowser({ id, zh, en, status, detailZh, detailEn, ms, error }) {
  const failure = error && { id: error.id, zh: error.zh, en: error.en, next: { zh: error.nextZh, en: error.nextEn } };
  return { id, title: { zh, en }, status, ms, detail: { zh: detailZh, en: detailEn }, error: failure };
}

/** The two languages of a text of the report. */
function parted(text) {
  const at = text.indexOf(" · ");
  return at < 0 ? { zh: text, en: "" } : { zh: text.slice(0, at), en: text.slice(at + 3) };
}

function say(state, zh, en) {
  element("agent-state").dataset.state = state;
  words(element("agent-words"), zh, en);
}

function words(target, zh, en) {
  const english = make("span", "en");
  english.lang = "en";
  english.textContent = en ?? "";
  target.replaceChildren(`${zh}${en ? " " : ""}`, ...(en ? [english] : []));
}

function make(tag, className = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}
