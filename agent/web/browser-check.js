/**
 * What only the browser can tell: itself, and by which ways this page reaches HCA Card Agent.
 *
 *     for await (const row of browserRows({ nativePort: 56440, tlsPort: 56445 })) …
 *
 * A row is { id, zh, en, status: "pass" | "warn" | "fail" | "skip", detailZh, detailEn, ms, error }, where
 * error is null or { id, zh, en, nextZh, nextEn }.
 */

const PATIENCE_MS = 3_000;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** [id, zh, en] of every row, in order. */
export const BROWSER_ROWS = [
  ["browser.version", "瀏覽器版本", "Browser"],
  ["browser.cookie", "Cookie可以寫入", "Cookies can be written"],
  ["browser.javascript", "JavaScript版本", "JavaScript version"],
  ["browser.permission", "區域網路存取權限", "Local Network Access"],
  ["browser.certificate", "這個瀏覽器信任本程式的憑證", "This browser trusts our certificate"],
  ["browser.http", "以 http 連到本程式", "Reached by http"],
  ["browser.https", "以 https 連到本程式", "Reached by https"],
  ["browser.ws", "以 ws 連到本程式", "Reached by ws"],
  ["browser.wss", "以 wss 連到本程式", "Reached by wss"],
  ["browser.mixed", "https 網頁連到 ws", "ws from an https page"],
  ["browser.portals", "回應入口網站的元件", "Components that answer portals"],
];

const ERRORS = {
  "browser.cookie_blocked": [
    "瀏覽器不讓網頁寫入 Cookie，入口網站會無法登入。",
    "The browser keeps pages from writing cookies; portals cannot log you in.",
    "請在瀏覽器的隱私權設定允許 Cookie，再重新整理這一頁。",
    "Allow cookies in the browser's privacy settings, then reload this page.",
  ],
  "browser.too_old": [
    "這個瀏覽器太舊。",
    "This browser is too old.",
    "請更新瀏覽器，或改用新版的 Chrome、Edge 或 Firefox。",
    "Update the browser, or use a current Chrome, Edge or Firefox.",
  ],
  "browser.certificate_untrusted": [
    "這個瀏覽器還不信任本程式的憑證，入口網站會連不到本程式。",
    "This browser does not trust this program's certificate yet, so portals cannot reach it.",
    "請在圖示選單或自我檢測頁選「讓瀏覽器接受本程式」，然後關閉瀏覽器的所有視窗再打開。",
    "Choose “Have browsers accept this program” in the menu of the icon or on the self-test page, then close all windows of the browser and open it again.",
  ],
  "browser.way_closed": [
    "從這一頁無法用這個方式連到本程式。",
    "This page cannot reach this program in this way.",
    "請檢查防毒軟體或代理伺服器的設定，讓 localhost 與 127.0.0.1 直接連線。",
    "Check the antivirus program or the proxy: localhost and 127.0.0.1 must be reached directly.",
  ],
  "agent.blocked": [
    "瀏覽器不允許這個網站連到本機的程式。",
    "The browser does not let this site reach programs on this device.",
    "請按網址列左邊的圖示，允許「本機上的應用程式和服務」，再重新整理網頁。",
    "Click the icon at the left of the address bar, allow apps and services on this device, and reload the page.",
  ],
};

/**
 * The rows, in order; all are found out side by side.
 *
 * token: on the agent's own page, gives what a WebSocket of that page must show; null elsewhere.
 */
export async function* browserRows({ nativePort, tlsPort, token = null }) {
  const way = {
    http: timed(() => status(`http://127.0.0.1:${nativePort}`)),
    https: timed(() => status(`https://localhost:${tlsPort}`)),
    ws: timed(() => opens(`ws://127.0.0.1:${nativePort}/v1`, token)),
    wss: timed(() => opens(`wss://localhost:${tlsPort}/v1`, token)),
  };
  const finders = {
    "browser.version": version,
    "browser.cookie": cookie,
    "browser.javascript": javascript,
    "browser.permission": permission,
    "browser.certificate": () => trust(way),
    "browser.mixed": () => mixed(way),
    "browser.portals": () => portals(way, tlsPort),
  };
  for (const [id, zh, en] of BROWSER_ROWS) {
    const name = id.slice("browser.".length);
    yield await row(id, zh, en, finders[id] ?? (() => reach(name, way)), way[name]);
  }
}

async function row(id, zh, en, find, way = null) {
  const began = performance.now();
  let found;
  try {
    found = await find();
  } catch {
    found = skip("瀏覽器不告知", "the browser does not tell");
  }
  const ms = Math.round(way ? (await way).ms : performance.now() - began);
  return { id, zh, en, ms, error: null, ...found };
}

const pass = (detailZh, detailEn = "") => ({ status: "pass", detailZh, detailEn });
const skip = (detailZh, detailEn) => ({ status: "skip", detailZh, detailEn });

function trouble(status, id, detailZh = "", detailEn = "") {
  const [zh, en, nextZh, nextEn] = ERRORS[id];
  return { status, detailZh, detailEn, error: { id, zh, en, nextZh, nextEn } };
}

async function version() {
  const brands = navigator.userAgentData?.brands ?? [];
  const brand = brands.find(({ brand }) => !/not.?a.?brand|^chromium$/i.test(brand)) ?? brands.at(-1);
  if (brand) return pass(`${brand.brand} ${brand.version}`);
  const named = /(Firefox|Edg|OPR|Chrome|Version)\/([\d.]+)/.exec(navigator.userAgent);
  const name = { Edg: "Edge", OPR: "Opera", Version: "Safari" }[named?.[1]] ?? named?.[1];
  return named ? pass(`${name} ${named[2]}`) : skip("瀏覽器不告知", "the browser does not tell");
}

async function cookie() {
  const name = `hca_selftest_${Math.floor(Math.random() * 1e9)}`;
  document.cookie = `${name}=1; SameSite=Strict; max-age=10`;
  const written = document.cookie.includes(`${name}=1`);
  document.cookie = `${name}=; SameSite=Strict; max-age=0`;
  return written ? pass("可以", "yes") : trouble("fail", "browser.cookie_blocked");
}

async function javascript() {
  const years = [
    [2025, () => typeof Set.prototype.union === "function"],
    [2024, () => typeof Object.groupBy === "function"],
    [2023, () => typeof [].findLast === "function" && typeof [].toSorted === "function"],
    [2022, () => typeof Object.hasOwn === "function"],
    [2021, () => typeof Promise.any === "function"],
  ];
  const year = years.find(([, has]) => has())?.[0];
  return year ? pass(`ECMAScript ${year}`) : trouble("warn", "browser.too_old");
}

async function permission() {
  if (LOOPBACK.test(location.hostname)) {
    return skip(
      "只有在入口網站上才有意義：這一頁和本程式在同一台電腦上，不需要這個權限",
      "only meaningful on a portal: this page comes from this very computer and needs no permission",
    );
  }
  for (const name of ["loopback-network", "local-network-access"]) {
    let state;
    try {
      ({ state } = await navigator.permissions.query({ name }));
    } catch {
      continue; // this browser does not know the name
    }
    if (state === "granted") return pass("已允許", "allowed");
    return trouble(state === "denied" ? "fail" : "warn", "agent.blocked", ...WAITING[state]);
  }
  return pass("這個瀏覽器不需要這個權限", "this browser needs no such permission");
}

const WAITING = { denied: ["已封鎖", "blocked"], prompt: ["還沒有允許", "not allowed yet"] };

async function trust(way) {
  if ((await way.https).value) return pass("信任", "trusted");
  // A program that answers in the clear listens with TLS too: what is missing then is the trust.
  if ((await way.http).value || location.protocol === "http:") return trouble("fail", "browser.certificate_untrusted");
  return skip("連不到本程式，無法得知", "this program was not reached, so it cannot be told");
}

async function reach(name, way) {
  if ((await way[name]).value) return pass("連得到", "reached");
  if (["https", "wss"].includes(name) && !(await way.https).value) {
    return skip("因「這個瀏覽器信任本程式的憑證」未通過而未連線", "not reached because of “This browser trusts our certificate”");
  }
  return trouble(location.protocol === "https:" ? "warn" : "fail", "browser.way_closed");
}

async function mixed(way) {
  if (location.protocol !== "https:") {
    return skip("只有從 https 網頁才看得出來，這一頁是 http", "only an https page can tell; this one is http");
  }
  const reached = (await way.ws).value;
  return reached
    ? pass("瀏覽器允許", "the browser lets it")
    : skip("瀏覽器不允許；入口網站改用 wss", "the browser does not let it; portals use wss");
}

async function portals(way, port) {
  const found = (await way.https).value;
  if (found === "hca-agent") return pass(`ServiSign（連接埠 ${port}）：本程式`, `ServiSign (port ${port}): this program`);
  return skip("因「這個瀏覽器信任本程式的憑證」未通過而無法得知", "cannot be told because of “This browser trusts our certificate”");
}

async function timed(find) {
  const began = performance.now();
  const value = await find().catch(() => null);
  return { value, ms: performance.now() - began };
}

/** Who answers `/status` there. */
async function status(base) {
  const response = await fetch(`${base}/status`, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  return (await response.json()).agent;
}

/** Whether a WebSocket opens there. */
async function opens(address, token) {
  const shown = token ? `?page=${encodeURIComponent(await token())}` : "";
  return new Promise((resolve) => {
    const socket = new WebSocket(address + shown);
    const timer = setTimeout(end, PATIENCE_MS, false);
    function end(open) {
      clearTimeout(timer);
      socket.onopen = socket.onerror = null;
      socket.close();
      resolve(open);
    }
    socket.onopen = () => end(true);
    socket.onerror = () => end(false);
  });
}
