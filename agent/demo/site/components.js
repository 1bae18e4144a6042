// What the pages with the older components share: logging in through one of them, and words for what goes wrong.
//
// These components say little: a number, or nothing at all. What is in the readers and why nothing answers is
// found out through agent.js, which says it in whole sentences.

import { HcaAgent } from "/static/agent.js";
import { post, Trouble } from "/static/common.js";
import { HipkiError, signThroughHipki } from "/static/hipki.js";
import { NhiComponentError, readThroughComponent } from "/static/nhi-component.js";
import { ServiSignError, signThroughNhiReader, signThroughPcsc } from "/static/servisign.js";

/** The kinds of card by the role in which they log in: what agent.js calls them, and people. */
export const CARDS = {
  personnel: { kinds: ["hpc"], zh: "醫事人員卡", en: "a healthcare personnel card" },
  institution: { kinds: ["hop", "hop-secondary"], zh: "醫事機構卡", en: "an institution card" },
  "natural-person": { kinds: ["citizen"], zh: "自然人憑證", en: "a citizen certificate card" },
  insured: { kinds: ["nhi"], zh: "健保卡", en: "an NHI card" },
};
const TYPES = { 0: "institution", 1: "personnel" };
const ABOUT = {
  card: new Set([13, 9016, 9018, 9056, 9057, 9112, 30037, 7004, 8001, 8013]),
  pin: new Set([9039, 9040, 9041, 9043]),
  unreachable: new Set([0, 61001, 61006, 61014, 61015]),
};
const HIPKI = {
  refused: 0x76000031,
  cancelled: 0x76000999,
  pin: new Set([0xa0, 0xa2, 0xa4, -2147483647, -2147483646]),
  noCard: new Set([0xe0, 0xe1, 0x32, 0x03]),
};

const UNREACHABLE = {
  servisign: {
    id: "component.unreachable",
    zh: "尚未安裝元件或未啟動ServiSign元件。",
    en: "The ServiSign component is not installed or not running, or this browser does not trust it.",
    nextZh: "請在圖示選單或自我檢測頁選「讓瀏覽器接受本程式」（管理者：hca-agent trust install），把示範與瀏覽器重新開啟後再試。",
    nextEn: "Choose “Have browsers accept this program” in the menu of the icon or on the self-test page (administrators: hca-agent trust install), start demo and browser anew, try again.",
  },
  hipki: {
    id: "component.unreachable",
    zh: "尚未安裝元件或未啟動HiPKI元件。",
    en: "The HiPKI component is not installed or not running.",
    nextZh: "請確認 HCA Card Agent 正在執行，且管理者沒有關閉 HiPKI，再試一次。",
    nextEn: "Check that HCA Card Agent runs and that the administrator has not turned HiPKI off, then try again.",
  },
};
const POPUP = {
  popup: {
    id: "popup.blocked",
    zh: "瀏覽器擋住了元件的小視窗。",
    en: "The browser kept the component's window closed.",
    nextZh: "請允許本網站開啟彈出式視窗，再按一次登入。",
    nextEn: "Allow pop-up windows for this site and log in again.",
  },
  closed: {
    id: "popup.closed",
    zh: "元件的小視窗被關閉了，登入沒有完成。",
    en: "The component's window was closed before it had answered.",
    nextZh: "請再按一次登入，並讓小視窗自己關閉。",
    nextEn: "Log in again and let that window close by itself.",
  },
};
const CANCELLED = {
  id: "request.cancelled",
  zh: "已取消登入。",
  en: "The log-in was cancelled.",
  nextZh: "要登入時，請再按一次登入。",
  nextEn: "Log in again when you wish.",
};
const NO_SIGNATURE = {
  zh: "元件回覆 8008：健保卡的網路認證（H_Sign）要由健保署的雲端服務與讀卡機的安全模組完成，"
    + "HCA Card Agent 不能代做。"
    + "所以這裡只讀取健保卡，再用註冊密碼確認是您本人。",
  en: "The component answered 8008. Proving an NHI card (H_Sign) takes NHI's cloud service and the reader's"
    + " security module, which HCA Card Agent cannot stand in for. So the card is only read here, and the registered password says it is you.",
};
const NO_COMPONENT = {
  zh: "健保卡元件沒有執行，已改由 HCA Card Agent 直接讀取健保卡。接著用註冊密碼確認是您本人。",
  en: "The NHI component is not running, so HCA Card Agent read the card itself. Next, the registered password.",
};
const READ_ONLY = {
  zh: "晶片讀卡機只能讀取健保卡的基本資料。接著用註冊密碼確認是您本人。",
  en: "A chip reader can only read the basic data of the NHI card. Next, the registered password.",
};

/**
 * Have the card of `role` sign a challenge of our own server, through `way`; what to post, throws `Trouble`.
 *
 * @param {{agent: object, role: string, way: string, pin: string, format?: string}} wanted
 */
export async function prove({ agent, role, way, pin, format = "PKCS1" }) {
  const { challenge } = await post("/api/challenge");
  try {
    if (way === "hipki") return { role, way, proof: await throughHipki(agent.hipki, pin, challenge, format) };
    // A synchronous request keeps the page from being drawn, so what it says must be drawn before.
    await drawn();
    const sign = way === "servisign" ? signThroughPcsc : signThroughNhiReader;
    const proof = sign(agent.tlsPorts, pin, challenge, (type) => requireCard(role, TYPES[type]));
    return { role, way, proof };
  } catch (error) {
    throw await explained(error, agent, role);
  }
}

/** Read the NHI card: `{way, card, note}`; through NHI's component where there is one, else by agent.js. */
export async function readInsured({ agent, component }) {
  try {
    if (!component) return { way: "native-read", card: await readNatively(agent), note: READ_ONLY };
    const { card, signature } = await readThroughComponent(agent.nhiComponent);
    return { way: "nhi-component", card, note: signature ? null : NO_SIGNATURE };
  } catch (error) {
    if (error instanceof NhiComponentError && ABOUT.unreachable.has(error.code)) {
      return { way: "native-read", card: await readNatively(agent), note: NO_COMPONENT };
    }
    throw await explained(error, agent, "insured");
  }
}

async function throughHipki(base, pin, challenge, format) {
  if (!base) throw new HipkiError("unreachable");
  const answer = await signThroughHipki(base, pin, challenge, format);
  if (answer.ret_code === 0) {
    return format === "PKCS7" ? { cms: answer.signature } : { certificate: answer.certb64, signature: answer.signature };
  }
  throw answer;
}

async function readNatively(address) {
  const agent = new HcaAgent(address);
  try {
    await agent.connect();
    const present = await cards(agent);
    const card = present.find(({ kind }) => kind === "nhi");
    if (!card) throw notThere("insured", present);
    return { number: card.serial, idNumber: card.holder.idNumber, name: card.holder.name, birth: card.holder.birth };
  } finally {
    agent.close();
  }
}

function requireCard(role, found) {
  if (found !== role) throw wrongCard(role, CARDS[found]);
}

/** The sentence for a card of another kind. */
function wrongCard(role, found) {
  const wanted = CARDS[role];
  return new Trouble({
    id: `card.not_${role}`,
    zh: `這張是${found.zh}，請改插${wanted.zh}。`,
    en: `This is ${found.en}. Insert ${wanted.en}.`,
    nextZh: "請拔出這張卡，換好卡片後，再按一次登入。",
    nextEn: "Take this card out, insert the other one, and log in again.",
  });
}

function notThere(role, present) {
  const others = present.map(({ kind }) => Object.values(CARDS).find(({ kinds }) => kinds.includes(kind)));
  if (others[0]) return wrongCard(role, others[0]);
  const { zh, en } = CARDS[role];
  return new Trouble({
    id: "card.none",
    zh: `讀卡機裡沒有${zh}。`,
    en: `There is no ${en.replace(/^an? /, "")} in the reader.`,
    nextZh: `請於讀卡機插入您的${zh}，晶片朝上，再按一次登入。`,
    nextEn: `Insert ${en}, then log in again.`,
  });
}

async function explained(error, address, role) {
  if (error instanceof HipkiError) {
    return error.reason === "unreachable" ? withAgent(address, UNREACHABLE.hipki, null) : new Trouble(POPUP[error.reason]);
  }
  if (error instanceof ServiSignError) return numbered(error.code, UNREACHABLE.servisign, address, role);
  if (error instanceof NhiComponentError) return numbered(error.code, UNREACHABLE.servisign, address, role);
  if (typeof error?.ret_code === "number") return fromHipki(error, address, role);
  return error;
}

async function numbered(code, unreachable, address, role) {
  if (ABOUT.unreachable.has(code)) return withAgent(address, unreachable, null);
  const words = await fetch(`/api/words/${code}`);
  const said = words.ok ? await words.json() : { zh: `元件回覆代碼 ${code}。`, en: `The component answered ${code}.` };
  const trouble = { id: `component.${code}`, ...said };
  if (ABOUT.card.has(code)) return withAgent(address, trouble, (present) => missing(present, role));
  if (ABOUT.pin.has(code)) return withAgent(address, trouble, (present) => tries(present, role, trouble));
  return new Trouble(trouble);
}

async function fromHipki({ ret_code: code, last_error: last, message }, address, role) {
  if (code === HIPKI.cancelled) return new Trouble(CANCELLED);
  // Its message is both languages in one line.
  const between = message.indexOf("。 ") + 1 || message.length;
  const trouble = { id: `component.${code.toString(16)}`, zh: message.slice(0, between), en: message.slice(between + 1) };
  if (code === HIPKI.refused) return new Trouble({ ...trouble, id: "origin.refused" });
  if (HIPKI.pin.has(last)) return withAgent(address, trouble, (present) => tries(present, role, trouble));
  return withAgent(address, trouble, (present) => missing(present, role));
}

/** What agent.js knows of it: why nothing answers, or what `look` makes of the cards in the readers. */
async function withAgent(address, trouble, look) {
  const agent = new HcaAgent(address);
  try {
    await agent.connect();
    return (look && look(await cards(agent))) || new Trouble(trouble);
  } catch (error) {
    return look ? new Trouble(trouble) : error;
  } finally {
    agent.close();
  }
}

async function cards(agent) {
  const { readers } = await agent.readers();
  const filled = readers.filter(({ state }) => state === "card");
  const present = await Promise.all(filled.map(({ name }) => agent.card({ reader: name }).catch(() => null)));
  return present.filter(Boolean);
}

const missing = (present, role) => (present.some(({ kind }) => CARDS[role].kinds.includes(kind)) ? null : notThere(role, present));

function tries(present, role, trouble) {
  const card = present.find(({ kind }) => CARDS[role].kinds.includes(kind));
  if (!card?.pin) return null;
  const { triesLeft, locked } = card.pin;
  if (locked || triesLeft === null) return new Trouble({ ...trouble, triesLeft: locked ? 0 : null });
  // HiPKI says it itself; ServiSign has no word for it.
  if (trouble.zh.includes("再試")) return new Trouble({ ...trouble, triesLeft });
  const [zh, en] = [`還可以再試 ${triesLeft} 次。`, ` Tries left: ${triesLeft}.`];
  return new Trouble({ ...trouble, triesLeft, zh: trouble.zh + zh, en: trouble.en + en });
}

const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
