// The page that files are dropped on: each is shown for what its signatures are worth, verdict first.

import { connectedAgent } from "/own-page.js";

const MARKS = { valid: "✓", "valid-with-remark": "✓", "cannot-be-decided": "?", invalid: "✕" };
const STATES = { valid: "good", "valid-with-remark": "good", "cannot-be-decided": "part", invalid: "bad" };
const SIGNATURES = /\.(p7s|sig|p7m|jws)$/i;
const BYTES_MAX = 32 * 1024 * 1024;
const CLOCKS = {
  "time-stamp": ["時戳", "time stamp"],
  signer: ["簽章者的時鐘，無法證明", "the signer’s own clock, which proves nothing"],
  none: ["", ""],
};
const REVOCATION = {
  good: ["未廢止", "not revoked"],
  revoked: ["已廢止", "revoked"],
  unknown: ["查不到", "not to be learned"],
};

const element = (id) => document.getElementById(id);
let agent = null;

element("files").addEventListener("change", (event) => verifyAll([...event.target.files]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  verifyAll([...event.dataTransfer.files]);
});

async function connect() {
  if (!agent?.connected) agent = await connectedAgent(120_000);
  return agent;
}

async function verifyAll(files) {
  element("message").hidden = true;
  element("reports").replaceChildren();
  for (const [file, signature] of paired(files)) {
    try {
      if (file.size > BYTES_MAX) {
        trouble(`${file.name}：超過 32 MB，這一頁無法驗證（管理者：hca-agent verify）`, `${file.name} is larger than 32 MB (administrators: hca-agent verify)`);
        continue;
      }
      const params = { document: await file.arrayBuffer(), name: file.name.slice(0, 260) };
      if (signature) params.signature = await signature.arrayBuffer();
      const { report } = await (await connect()).verify(params);
      show(report);
    } catch (error) {
      trouble(error.zh ?? "無法驗證這個檔案", error.en ?? error.message);
    }
  }
  element("files").value = "";
}

/** Each document with the signature that was dropped beside it: `report.pdf` with `report.pdf.p7s`. */
function paired(files) {
  const names = new Map(files.map((file) => [file.name, file]));
  const taken = new Set();
  const pairs = [];
  for (const file of files) {
    const document = SIGNATURES.test(file.name) && names.get(file.name.replace(SIGNATURES, ""));
    if (document) {
      taken.add(document).add(file);
      pairs.push([document, file]);
    }
  }
  return [...pairs, ...files.filter((file) => !taken.has(file)).map((file) => [file, null])];
}

function show(report) {
  const section = made("section", "verdict report");
  section.dataset.state = STATES[report.verdict];
  const title = made("h2");
  title.append(`${MARKS[report.verdict]} ${report.name}`);
  section.append(title, both("p", report.zh, report.en, "sentence"));
  // The first one is what the sentence already says.
  for (const remark of report.remarks.slice(1)) section.append(both("p", remark.zh, remark.en + detail(remark)));
  for (const signature of report.signatures) section.append(signed(signature));
  const about = made("p", "note");
  about.append(`${report.size.toLocaleString()} bytes · SHA-256 ${report.sha256}`);
  section.append(about);
  element("reports").append(section);
  const said = both("span", `${report.name}：${report.zh}`, report.en);
  element("said").append(said);
}

function signed(signature) {
  const box = made("details", "signature");
  box.open = true;
  const summary = made("summary");
  const who = signature.signer?.name ?? "簽章者不明 Signer unknown";
  const simulated = signature.signer?.simulated ? "（模擬卡 SIMULATED）" : "";
  summary.append(`${MARKS[signature.verdict]} ${signature.number}. ${who}${simulated}`);
  const facts = made("dl");
  const fact = (zh, en, value) => {
    if (!value) return;
    const name = both("dt", zh, en);
    const said = made("dd");
    said.append(value);
    facts.append(name, said);
  };
  const { signer, revocation } = signature;
  fact("身分", "Who", signer && [signer.category, signer.institution].filter(Boolean).join(" · "));
  const clock = CLOCKS[signature.timeSource];
  const when = signature.time && `${new Date(signature.time).toLocaleString("zh-TW")}（${clock[0]} ${clock[1]}${signature.timeAuthority && ` · ${signature.timeAuthority}`}）`;
  fact("時間", "When", when);
  fact("內容", "Content", signature.unchanged ? "未改變 unchanged" : "有改變或無法確認 changed, or not to be told");
  fact("格式", "Format", [signature.format, signature.level, signature.algorithm].filter(Boolean).join(" · "));
  fact("原因", "Reason", signature.reason);
  fact("範圍", "Covers", signature.signs);
  fact("副署", "Countersigns", signature.over ? `第 ${signature.over} 個 · signature ${signature.over}` : "");
  fact("憑證鏈", "Chain", signature.chain.map((each) => each.subject).join(" → "));
  const state = revocation && REVOCATION[revocation.state];
  fact("廢止", "Revocation", state && `${state[0]} ${state[1]} ${revocation.source}`);
  const remarks = made("ul");
  for (const remark of signature.remarks) remarks.append(both("li", remark.zh, remark.en + detail(remark)));
  box.append(summary, facts, remarks);
  return box;
}

const detail = ({ detail: text }) => (text ? ` (${text})` : "");

function both(tag, zh, en, kind = "") {
  const one = made(tag, kind);
  const other = made("span", "en");
  other.lang = "en";
  other.append(en);
  one.append(zh, " ", other);
  return one;
}

function made(tag, kind = "") {
  const one = document.createElement(tag);
  if (kind) one.className = kind;
  return one;
}

function trouble(zh, en) {
  element("message").replaceChildren(both("p", zh, en));
  element("message").hidden = false;
}
