/**
 * HCA Card Agent, native API version 1: the client for web pages. No dependencies; types in agent.d.ts.
 *
 *     import { HcaAgent, HcaAgentError } from "./agent.js";
 *     const agent = new HcaAgent();
 *     await agent.connect();
 *     const token = await agent.authenticate({ nonce });   // nonce: from your own server, one use
 *
 * Everything that fails throws an HcaAgentError with a stable id and both sentences for the person.
 */

/** The version of the native API that this file speaks. */
export const API = 1;

const MAC = /^(Macintosh|MacIntel|MacPPC|Mac68K)$/;
const PLAIN_PORT = 56440;
const STAGGER_MS = 250;
/** So many signatures of a session are under way: the next are prepared while the card makes one. */
const AT_WORK = 4;
/** A request that fails this much later than the first waited for a person: closed ports fail together. */
const TOGETHER_MS = 300;
/** Local Network Access by its names, the present one first. */
const PERMISSIONS = ["loopback-network", "local-network-access"];

const ERRORS = {
  "agent.not_running": [
    "找不到 HCA Card Agent（HCA 跨平台網頁元件）：尚未安裝或未啟動。",
    "HCA Card Agent is not installed or not running.",
    "請啟動 HCA Card Agent，再試一次；若尚未安裝，請先安裝。",
    "Start HCA Card Agent, or install it first, and try again.",
  ],
  "agent.blocked": [
    "瀏覽器不允許這個網站連到本機的程式。",
    "The browser does not let this site reach programs on this device.",
    "請按網址列左邊的圖示，允許「本機上的應用程式和服務」，再重新整理網頁。",
    "Click the icon at the left of the address bar, allow apps and services on this device, and reload the page.",
  ],
  "origin.refused": [
    "HCA Card Agent 正在執行，但拒絕了這個網站。",
    "HCA Card Agent is running, but refused this site.",
    "若您信任這個網站，請管理者把它加入允許清單。",
    "If you trust this site, have it added to the allowed sites.",
  ],
  "agent.too_old": [
    "HCA Card Agent 的版本太舊。",
    "This version of HCA Card Agent is too old.",
    "請更新 HCA Card Agent，再試一次。",
    "Update HCA Card Agent and try again.",
  ],
  busy: [
    "HCA Card Agent 正忙。",
    "HCA Card Agent is busy.",
    "請稍候再試。",
    "Wait a little and try again.",
  ],
  "agent.disconnected": [
    "與 HCA Card Agent 的連線中斷了。",
    "The connection to HCA Card Agent was lost.",
    "請再試一次。",
    "Try again.",
  ],
  "agent.timeout": [
    "HCA Card Agent 太久沒有回應。",
    "HCA Card Agent did not answer in time.",
    "請看看是否有等您回答的視窗，再試一次。",
    "See whether one of its windows waits for you, and try again.",
  ],
  "request.too_large": [
    "要求的內容太大。",
    "The request is too large.",
    "請改簽較小的文件，或分批處理。",
    "Use a smaller document, or several requests.",
  ],
};

/** Why the browser blocks, where it is not the person's own no: what the person can do differs. */
const BLOCKED = {
  question: [
    "瀏覽器問過您，但沒有得到允許，所以這個網站連不到本機的程式。",
    "The browser asked you and got no yes, so this site cannot reach programs on this device.",
    "請再試一次，並在瀏覽器詢問時按「允許」。",
    "Try again, and choose Allow when the browser asks.",
  ],
  frame: [
    "這個網頁嵌在另一個網站裡，而那個網站沒有讓它連到本機的程式。",
    "This page is embedded in another site, which does not let it reach programs on this device.",
    "請通知網站的服務人員：內嵌的框架要加上 allow=\"loopback-network\"。",
    "Tell the site's help desk: its frame needs allow=\"loopback-network\".",
  ],
  insecure: [
    "這個網頁不是以 https 開啟的，瀏覽器不讓它連到本機的程式。",
    "This page was not opened with https, and the browser keeps it from programs on this device.",
    "請把網址開頭改成 https:// 再開一次。",
    "Open it again with https:// at the start of its address.",
  ],
};

/** What went wrong: `id` for programs, the sentences for the person. */
export class HcaAgentError extends Error {
  constructor({ id, zh, en, nextZh, nextEn, triesLeft, retryAfter, reason }) {
    super(`${id}: ${en}`);
    this.name = "HcaAgentError";
    this.id = id;
    this.zh = zh;
    this.en = en;
    this.nextZh = nextZh;
    this.nextEn = nextEn;
    /** PIN errors: how many tries the card leaves; null where it did not say. */
    this.triesLeft = triesLeft ?? null;
    /** Seconds after which trying again makes sense; null where it is not known. */
    this.retryAfter = retryAfter ?? null;
    /** `agent.blocked`: "permission", "question", "frame" or "insecure"; else null. */
    this.reason = reason ?? null;
  }
}

/**
 * The agent as a page sees it. Notifications are events: `reader.changed`, `card.changed`, `session.ended`,
 * `disconnected`.
 */
export class HcaAgent extends EventTarget {
  #options;
  #socket = null;
  #connecting = null;
  #pending = new Map();
  #nextId = 1;
  #free = AT_WORK;
  #waiting = [];

  constructor(options = {}) {
    super();
    const shift = MAC.test(globalThis.navigator?.platform ?? "") ? -2000 : 0;
    this.#options = {
      timeout: 300_000,
      connectTimeout: 3_000,
      permissionTimeout: 60_000,
      tlsPorts: [56445, 56545, 56645].map((port) => port + shift),
      plainPort: PLAIN_PORT,
      addresses: null,
      ...options,
    };
    /** What the agent said of itself; null while not connected. */
    this.hello = null;
  }

  /** Whether a connection is open. */
  get connected() {
    return this.#socket !== null;
  }

  /** Find the agent and greet it; safe to call again. */
  async connect({ signal } = {}) {
    signal?.throwIfAborted();
    if (this.hello) return this; // an open socket that has not been greeted yet is no connection
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null;
    });
    await abortable(this.#connecting, signal);
    return this;
  }

  /** End the connection; whatever is under way fails with `agent.disconnected`. */
  close() {
    this.#socket?.close(1000);
    this.#lost(known("agent.disconnected"));
  }

  readers(options) {
    return this.call("readers.list", {}, options);
  }

  card({ reader, cardKind } = {}, options) {
    return this.call("card.read", { reader, cardKind }, options);
  }

  certificates({ reader, cardKind } = {}, options) {
    return this.call("certificates.list", { reader, cardKind }, options);
  }

  pinStatus({ reader, cardKind } = {}, options) {
    return this.call("pin.status", { reader, cardKind }, options);
  }

  pinChange({ reader, cardKind } = {}, options) {
    return this.call("pin.change", { reader, cardKind }, options);
  }

  pinUnblock({ reader, cardKind } = {}, options) {
    return this.call("pin.unblock", { reader, cardKind }, options);
  }

  authenticate({ nonce, reader, cardKind }, options) {
    return this.call("authenticate", { nonce, reader, cardKind }, options);
  }

  sign({ document, digest, content, hash = "SHA-256", format = "pkcs1", key = "signature", ...more }, options) {
    const what = { document: base64(document), digest: base64(digest), content: base64(content) };
    const { detached, level, reason, field, page, over, name, reader, cardKind } = more;
    const how = { hash, format, detached, level, reason, field, page, over, name };
    return this.call("sign", { ...what, ...how, key, reader, cardKind }, options);
  }

  /** One PIN for many signatures: the person is asked in the agent's own window, and can stop it at any time. */
  sessionOpen({ signatures, minutes, reader, cardKind } = {}, options) {
    return this.call("session.open", { signatures, minutes, reader, cardKind }, options);
  }

  sessionSign({ session, document, content, hash = "SHA-256", format = "pkcs1", ...more }, options) {
    const what = { session, document: base64(document), content: base64(content) };
    const { detached, level, reason, field, page, over, name } = more;
    const how = { hash, format, detached, level, reason, field, page, over, name };
    return this.#inTurn(() => this.call("session.sign", { ...what, ...how }, options));
  }

  sessionStatus({ session }, options) {
    return this.call("session.status", { session }, options);
  }

  sessionClose({ session }, options) {
    return this.call("session.close", { session }, options);
  }

  /**
   * Many documents with one PIN: the person agrees to the list of them in the agent's own window. `onItem` is told
   * each as `{ index, result }` or `{ index, error }`, `onProgress` how far it is. Aborting `signal` ends it: what is
   * signed by then was told, and the answer says so (`stopped`).
   */
  async signBatch(items, { reader, cardKind, onItem = () => {}, onProgress = () => {}, signal } = {}) {
    await this.connect({ signal });
    const batch = `batch-${this.#nextId++}`;
    const own = (tell) => ({ detail: { batch: whose, ...more } }) => whose === batch && tell(more);
    const listeners = {
      "batch.item": own(({ index, result, error }) =>
        onItem(error ? { index, error: new HcaAgentError(error) } : { index, result }),
      ),
      "batch.progress": own(onProgress),
    };
    const cancel = () => this.call("batch.cancel", { batch }).catch(() => {});
    for (const [name, tell] of Object.entries(listeners)) this.addEventListener(name, tell);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const wire = items.map(({ document, content, hash = "SHA-256", format = "pkcs1", ...more }) => {
        const { detached, level, reason, field, page, over, name } = more;
        const how = { hash, format, detached, level, reason, field, page, over, name };
        return { document: base64(document), content: base64(content), ...how };
      });
      const params = { batch, items: wire, reader, cardKind };
      const { stopped, ...done } = await this.call("sign.batch", params, { timeout: Infinity });
      return { ...done, stopped: stopped ? new HcaAgentError(stopped) : null };
    } finally {
      signal?.removeEventListener("abort", cancel);
      for (const [name, tell] of Object.entries(listeners)) this.removeEventListener(name, tell);
    }
  }

  verify({ document, signature, certificate, hash = "SHA-256", name }, options) {
    const params = {
      document: base64(document),
      signature: base64(signature),
      certificate: base64(certificate),
      hash,
      name,
    };
    return this.call("verify", params, options);
  }

  encrypt({ data, format, certificate, certificates, reader, cardKind }, options) {
    const what = {
      data: base64(data),
      format,
      certificate: base64(certificate),
      certificates: certificates?.map(base64),
    };
    return this.call("encrypt", { ...what, reader, cardKind }, options);
  }

  decrypt({ cipher, format, reader, cardKind }, options) {
    return this.call("decrypt", { cipher: base64(cipher), format, reader, cardKind }, options);
  }

  /**
   * The self-test: the agent's rows as they finish. `onRow` is told each; personal data in them is masked. Where
   * browser-check.js is served beside this file, what the browser can tell comes first; else `browser` is empty.
   */
  async selftest({ variant, pin, reader, onRow = () => {} } = {}, options) {
    const { browserRows } = await import("./browser-check.js").catch(() => ({ browserRows: () => [] }));
    const { tlsPorts, plainPort } = this.#options;
    const tell = ({ detail }) => onRow(detail.row);
    await this.connect(options);
    const browser = [];
    for await (const row of browserRows({ nativePort: plainPort, tlsPort: this.#tlsPort ?? tlsPorts[0] })) {
      browser.push(row);
      onRow(row);
    }
    this.addEventListener("selftest.row", tell);
    try {
      const { report } = await this.call("selftest.run", { variant, pin, reader }, options);
      return { report, browser };
    } finally {
      this.removeEventListener("selftest.row", tell);
    }
  }

  /** The report on the last `selftest` as JSON and as one HTML file, with the browser's rows. */
  selftestReport({ browser = [] } = {}, options) {
    return this.call("selftest.report", { browser }, options);
  }

  async #inTurn(work) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((go) => this.#waiting.push(go));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }

  /** The port with TLS that this connection uses; null in the clear. */
  get #tlsPort() {
    const { protocol, port } = new URL(this.#socket?.url ?? "ws://-");
    return protocol === "wss:" ? Number(port) : null;
  }

  /**
   * Any method of the native API, connecting first where needed.
   *
   * Aborting stops the wait. When nothing else is under way it also closes the connection, which is what makes
   * the agent take its question back from the person.
   */
  async call(method, params = {}, { signal, timeout = this.#options.timeout } = {}) {
    await this.connect({ signal });
    const socket = this.#socket;
    if (!socket) throw known("agent.disconnected");
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    try {
      return await abortable(within(timeout, answer, "agent.timeout"), signal);
    } catch (error) {
      const waiting = this.#pending.get(id);
      if (waiting) {
        this.#pending.delete(id);
        waiting.reject(error); // so that its timer ends too
        if (this.#pending.size === 0) this.close();
      }
      throw error;
    }
  }

  async #open() {
    // Addresses that are given are the page's own place, for which browsers ask nobody.
    const permission = this.#options.addresses ? null : await permissionState();
    if (permission === "denied") throw blocked();
    if (permission === "prompt") await this.#ask();
    const socket = await firstOpen(this.#addresses(), this.#options.connectTimeout);
    if (!socket) throw await this.#reason();
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#lost(known(CLOSED[code] ?? "agent.disconnected"));
    };
    const hello = await this.#greet(socket);
    if (hello.api < API) {
      this.close();
      throw known("agent.too_old");
    }
    this.hello = hello;
  }

  #greet(socket) {
    const answer = new Promise((resolve, reject) => this.#pending.set(0, { resolve, reject }));
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "agent.hello", params: {} }));
    return within(this.#options.connectTimeout, answer, "agent.timeout").catch((error) => {
      this.close();
      throw error;
    });
  }

  /** Groups in order of preference; the ones of a group are equals. */
  #addresses() {
    const { tlsPorts, plainPort, addresses } = this.#options;
    if (addresses) return [addresses];
    return [
      tlsPorts.map((port) => `wss://localhost:${port}/v1`),
      tlsPorts.map((port) => `wss://127.0.0.1:${port}/v1`),
      plainPort ? [`ws://127.0.0.1:${plainPort}/v1`] : [],
    ];
  }

  /** Raise the browser's question with one small request for each port, and wait for the person's answer. */
  async #ask() {
    const { connectTimeout, permissionTimeout } = this.#options;
    const { status, first, last } = await firstStatus(this.#bases(), permissionTimeout);
    if (status) return;
    if ((await permissionState()) === "denied") throw blocked();
    const asked = last - first > TOGETHER_MS || first > connectTimeout;
    throw asked ? blocked("question") : known("agent.not_running");
  }

  /** Why no WebSocket opened: `/status` answers any origin, even one that is refused. */
  async #reason() {
    const { status } = await firstStatus(this.#bases(), this.#options.connectTimeout);
    if (status) return known(status.api < API ? "agent.too_old" : "origin.refused");
    return (await permissionState()) === "denied" ? blocked() : known("agent.not_running");
  }

  /** Addresses without a name to look up, so that closed ports all take the same time to say so. */
  #bases() {
    const { tlsPorts, plainPort, addresses } = this.#options;
    if (addresses) return addresses.map((address) => new URL(address.replace(/^ws/, "http")).origin);
    const secure = tlsPorts.map((port) => `https://127.0.0.1:${port}`);
    return plainPort ? [`http://127.0.0.1:${plainPort}`, ...secure] : secure;
  }

  #receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    const waiting = this.#pending.get(message.id);
    if (waiting) {
      this.#pending.delete(message.id);
      if (message.error) waiting.reject(new HcaAgentError(message.error.data));
      else waiting.resolve(message.result);
    } else if (message.method) {
      this.dispatchEvent(new CustomEvent(message.method, { detail: message.params }));
    }
  }

  #lost(error) {
    const wasConnected = this.#socket !== null;
    this.#socket = null;
    this.hello = null;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(error);
    if (wasConnected) this.dispatchEvent(new CustomEvent("disconnected", { detail: { id: error.id } }));
  }
}

/** RFC 6455 §7.4.1: 1009 is a message too big, 1013 "try again later". */
const CLOSED = { 1009: "request.too_large", 1013: "busy" };

function known(id) {
  const [zh, en, nextZh, nextEn] = ERRORS[id];
  return new HcaAgentError({ id, zh, en, nextZh, nextEn });
}

function blocked(reason = frameOrPage()) {
  if (reason === "permission") return new HcaAgentError({ ...known("agent.blocked"), reason });
  const [zh, en, nextZh, nextEn] = BLOCKED[reason];
  return new HcaAgentError({ id: "agent.blocked", zh, en, nextZh, nextEn, reason });
}

/** What denied the permission: the page itself, the page around it, or the person (or their administrator). */
function frameOrPage() {
  if (!globalThis.isSecureContext) return "insecure";
  const policy = globalThis.document?.permissionsPolicy ?? globalThis.document?.featurePolicy;
  return policy && !PERMISSIONS.some((name) => policy.allowsFeature(name)) ? "frame" : "permission";
}

/** The state of the browser's Local Network Access permission; null where the browser has none. */
async function permissionState() {
  for (const name of PERMISSIONS) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch {
      // This browser does not know the name.
    }
  }
  return null;
}

/** The first WebSocket to open; the next group starts a little later, or once the ones before have failed. */
function firstOpen(groups, patience) {
  return new Promise((resolve) => {
    const sockets = new Set();
    const timers = [setTimeout(settle, patience, null)];
    const waiting = [...groups];
    let underWay = 0;
    let settled = false;

    function settle(winner) {
      if (settled) return;
      settled = true;
      timers.forEach(clearTimeout);
      for (const socket of sockets) {
        socket.onopen = socket.onerror = null;
        if (socket !== winner) socket.close();
      }
      resolve(winner);
    }

    function beginGroup() {
      if (settled || waiting.length === 0) return;
      const group = waiting.shift();
      underWay += group.length;
      timers.push(setTimeout(beginGroup, STAGGER_MS));
      group.forEach(begin);
      if (group.length === 0) goOn();
    }

    function begin(address) {
      try {
        const socket = new WebSocket(address);
        sockets.add(socket);
        socket.onopen = () => settle(socket);
        socket.onerror = failed;
      } catch {
        failed(); // mixed content or a content security policy, for which some browsers throw
      }
    }

    function failed() {
      underWay -= 1;
      goOn();
    }

    function goOn() {
      if (underWay > 0) return;
      if (waiting.length === 0) settle(null);
      else beginGroup();
    }

    beginGroup();
  });
}

/**
 * The first answer to `GET /status` that is ours, null when there is none; and after how many milliseconds the
 * first and the last request ended.
 */
async function firstStatus(bases, patience) {
  const began = performance.now();
  const ended = [];
  const ask = async (base) => {
    try {
      const response = await fetch(`${base}/status`, { signal: AbortSignal.timeout(patience), cache: "no-store" });
      const status = await response.json();
      if (status?.agent !== "hca-agent") throw new Error("another program");
      return status;
    } finally {
      ended.push(performance.now() - began);
    }
  };
  const status = await Promise.any(bases.map(ask)).catch(() => null);
  return { status, first: Math.min(...ended), last: Math.max(...ended) };
}

function within(milliseconds, promise, id) {
  if (milliseconds === Infinity) return promise;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(known(id)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function abortable(promise, signal) {
  if (!signal) return promise;
  let stop;
  const aborted = new Promise((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", stop));
}

/** Bytes as base64 (RFC 4648 §4); text is taken to be base64 already. */
function base64(value) {
  if (value === undefined || typeof value === "string") return value;
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  let binary = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(binary);
}
