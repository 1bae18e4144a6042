// The popup of the HiPKI dialect. A portal's page opens it; it asks that page for its request, has this program
// answer, hands the answer back to that page alone, and closes. One request for each popup.

const PATHS = new Map([
  ["GetUserCert", "/pkcs11info?withcert=true"],
  ["CheckEnvir", "/pkcs11info"],
  ["decrypt", "/decrypt"],
  ["Decrypt", "/decrypt"],
  ["DecryptData", "/decrypt"],
]);
// Whatever else a page asks for, it learns from the answer to `sign` that it is not known.
const SIGN = "/sign";
const ASK = JSON.stringify({ func: "getTbs" });

const WORDS = {
  working: ["處理中，請不要拔出卡片。HCA Card Agent 的視窗出現時，請在那裡確認。", "Working; leave the card in its reader. When HCA Card Agent’s window appears, confirm there."],
  stopped: ["無法繼續", "Cannot go on"],
  severed: ["找不到開啟這個視窗的網站。", "The site that opened this window cannot be reached."],
  severedNext: [
    "請關閉這個視窗，回到網站再按一次按鈕。若一直發生，請通知網站管理者：網頁的 Cross-Origin-Opener-Policy 要改為 same-origin-allow-popups。",
    "Close this window, go back to the site and press its button again. If it keeps happening, tell the site’s administrator: the page’s Cross-Origin-Opener-Policy must be same-origin-allow-popups.",
  ],
  nameless: ["這個網頁沒有可辨識的網址，所以不處理它的要求。", "This page has no address that could be named, so its request is not served."],
  failed: ["本程式沒有回應。", "This program did not answer."],
  failedNext: ["請關閉這個視窗，確認 HCA Card Agent 正在執行，再試一次。", "Close this window, see that HCA Card Agent is running, and try again."],
  done: ["已完成，可以關閉這個視窗。", "Done; this window can be closed."],
};

const element = (id) => document.getElementById(id);
const fact = (name) => document.querySelector(`meta[name="${name}"]`).content;

function write(target, [zh, en]) {
  const english = document.createElement("span");
  english.className = "en";
  english.lang = "en";
  english.textContent = en;
  target.replaceChildren(zh, english);
  target.hidden = false;
}

function title([zh, en]) {
  element("zh").textContent = zh;
  element("en").textContent = en;
}

function stop(words, next, state = "stopped") {
  element("main").dataset.state = state;
  if (!element("site").dataset.origin) title(WORDS.stopped);
  write(element("state"), words);
  if (next) write(element("next"), next);
  element("close").hidden = false;
}

function name(origin) {
  const known = JSON.parse(fact("portals"))[origin];
  element("site").dataset.origin = origin;
  title(known ? [known[0], `${known[1]} · ${origin}`] : [origin, ""]);
}

function wanted(text) {
  // Some pages escape the whole of what they send.
  for (const read of [(written) => written, decodeURIComponent]) {
    try {
      return PATHS.get(JSON.parse(read(text)).func) ?? SIGN;
    } catch {
      // Whoever answers says what is wrong with it.
    }
  }
  return SIGN;
}

// The page's text goes into the form as it is: pages escape inside their JSON what a form would take for its own
// ("%", "+"), and it is read as a form once. Only "&" they may have left alone: it would end the text early.
function form(text) {
  if (/\p{Surrogate}/u.test(text)) throw new TypeError("half of a character: it would be sent as another");
  return `tbsPackage=${text.replaceAll("&", "%26")}`;
}

async function serve(text, origin) {
  const answer = await fetch(wanted(text), {
    method: "POST",
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      "X-HCA-Ticket": fact("ticket"),
      "X-HCA-Portal": origin,
    },
    body: form(text),
    credentials: "omit",
  });
  return answer.text();
}

function listen(opener) {
  let served = false;
  window.addEventListener("message", async (event) => {
    if (served || event.source !== opener || typeof event.data !== "string") return;
    served = true;
    // Who asks is what the browser says of the message, never what the message says.
    const origin = event.origin;
    if (origin === "null" || origin === "") return stop(WORDS.nameless);
    name(origin);
    element("main").dataset.state = "working";
    write(element("state"), WORDS.working);
    let text = "";
    try {
      text = await serve(event.data, origin);
    } catch {
      // Nobody answers: the same as an answer without words.
    }
    if (!text) return stop(WORDS.failed, WORDS.failedNext);
    opener.postMessage(text, origin);
    window.close();
    stop(WORDS.done, null, "done"); // seen only where the browser keeps the window open
  });
  opener.postMessage(ASK, "*");
}

element("close").addEventListener("click", () => window.close());
if (window.opener) listen(window.opener);
else stop(WORDS.severed, WORDS.severedNext);
