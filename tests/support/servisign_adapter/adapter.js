// A portal page's ServiSign adapter, both generations of it, written for these tests from docs/servisign.md.
//
// What a page of 2020 and one of 2022 do to reach the local program, how they write a call and what they make
// of the answer: synchronous XMLHttpRequest, one form field, everything in base64.
"use strict";

const WINDOWS = ["Win32", "Win64", "Windows", "WinCE"];
const MACINTOSH = ["Macintosh", "MacIntel", "MacPPC", "Mac68K"];
const ERROR = { start: 61001, unreachable: 61006, notAuthorised: 61908, proxy: 61014, lost: 61015 };

const toBase64 = (text) => {
  // Octet by octet: a document is more arguments than any function takes.
  let octets = "";
  for (const octet of new TextEncoder().encode(text)) octets += String.fromCharCode(octet);
  return btoa(octets);
};
const fromBase64 = (text) =>
  text === undefined ? "" : new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
const marked = (text) => (text === "" ? "" : encodeURIComponent(toBase64(text)));

function platform() {
  const name = navigator.platform;
  if (WINDOWS.includes(name)) return "windows";
  if (MACINTOSH.includes(name)) return "macintosh";
  return /Linux/.test(name) ? "linux" : null;
}

class Adapter {
  // ports: {windows, macintosh}, three each; Linux has those of Windows. methods: see methods.js.
  constructor({ ports, pathId, methods, tabMode = 0, minimum = "1.0.20.0310" }) {
    this.ports = ports[platform() === "macintosh" ? "macintosh" : "windows"];
    this.methods = methods;
    this.pathId = pathId;
    this.tabMode = tabMode;
    this.minimum = minimum;
    this.base = "";
    this.session = tabMode ? "Chrome" : "";
    this.code = ERROR.start;
    this.result = "";
    this.versions = {};
    this.callbacks = [];
    this.tried = [];
    this.beats = 0;
  }

  // Sweep all addresses until one answers; the global error code says how it went.
  connect() {
    const hosts = ["localhost", "127.0.0.1"];
    for (const url of hosts.flatMap((host) => this.ports.map((port) => `https://${host}:${port}`))) {
      this.tried.push(url);
      this.base = url;
      const reply = this.echo();
      if (reply === null) {
        if (this.code === ERROR.proxy) return false;
        continue;
      }
      const result = fromBase64(reply.result);
      if (result === "" || result === "0") {
        if (!this.tabMode) this.session = fromBase64(reply.SessionID);
        for (const name of ["ServerVersion", "LibVersion", "InstallerVersion"])
          this.versions[name] = fromBase64(reply[name]);
        this.code = 0;
        addEventListener("beforeunload", () => this.release());
        return true;
      }
      if (this.stopsAt(Number(result))) {
        this.code = Number(result);
        return false;
      }
    }
    this.code = ERROR.unreachable;
    return false;
  }

  stopsAt() {
    return false;
  }

  echo() {
    return this.post(this.request(this.echoName, [], {}, {}));
  }

  // Call a library function; while callbacks are queued, the next one gets the result and what is returned is stale.
  call(name, ...values) {
    const index = Object.keys(this.methods).indexOf(name);
    const request = this.request(name, this.methods[name], values, { ServiSignFunctionIndex: index });
    return this.send(request);
  }

  framework(name, members = {}) {
    return this.send(this.request(name, Object.keys(members).map((key) => `*${key}`), Object.values(members), {}));
  }

  send(request) {
    const callback = this.callbacks.shift();
    if (callback) {
      this.post(request, (reply) => callback((this.result = fromBase64(reply?.result))));
      return this.result;
    }
    const reply = this.post(request);
    if (reply !== null) this.result = fromBase64(reply.result);
    return this.result;
  }

  // The adapter drops the last piece of a list, whatever it is.
  list(name, ...values) {
    return this.call(name, ...values).split(";").slice(0, -1);
  }

  queueCallback(callback) {
    this.callbacks.push(callback);
  }

  clearCallbacks() {
    this.callbacks = [];
  }

  release() {
    if (this.code === 0) this.post(this.request("ServiSignRelease", [], {}, {}), () => {});
  }

  forceRelease() {
    return this.framework("ServiSignForceRelease");
  }

  // Both versions with dots, commas and blanks taken out, compared as numbers; an empty one counts as too old.
  needsUpdate() {
    const number = (version) => Number(version.replace(/[., ]/g, ""));
    const real = number(this.versions.InstallerVersion);
    const least = number(platform() === "windows" ? this.minimum : "");
    return !real || !least || least > real;
  }

  request(name, parameters, values, others) {
    const request = { functionname: name };
    parameters.forEach((parameter, index) => this.argument(request, parameter.slice(1), parameter[0], values[index]));
    return Object.assign(request, others, {
      comname: "",
      libdir: "",
      sessionid: this.session,
      ServiSignTabMode: this.tabMode,
      ServiSignBrowser: "Chrome",
      JSVersion: this.version,
      minlibversion: "0.0.0.0",
      minserverversion: "0.0.0.0",
      InstallerName: "HCAServiSignAdapterSetup",
      PathID: this.pathId,
      ServiSignJSGenTime: "2020-03-10 13:29:41",
      AdapterJsonKeyCheck: true,
    });
  }

  text(request, name, value) {
    request[`${name}_ServiSignBase64Flag`] = true;
    request[name] = marked(String(value));
  }

  // The reply's object, null where there is none; with `then` the request is asynchronous.
  post(request, then) {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", this.base, Boolean(then));
    xhr.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    if (then) {
      xhr.onload = () => then(this.read(xhr.responseText));
      xhr.onerror = () => then(null);
    }
    try {
      xhr.send(`Parameter=${encodeURIComponent(toBase64(JSON.stringify(request)))}`);
    } catch {
      this.code = xhr.getResponseHeader("via") ? ERROR.proxy : ERROR.lost;
      return null;
    }
    return then ? null : this.read(xhr.responseText);
  }
}

class Adapter2020 extends Adapter {
  echoName = "Echo";
  version = "1.0.18.1219";

  // Numbers go as they are: a number where the page wrote one, text where it hands back what it was given.
  argument(request, name, sort, value) {
    if (sort === "*") this.text(request, name, value);
    else if (value !== undefined) request[name] = value;
  }

  read(body) {
    try {
      return JSON.parse(body);
    } catch {
      return null; // and the previous result stays
    }
  }
}

class Adapter2022 extends Adapter {
  echoName = "ServiSignEcho";
  version = "1.0.20.0423";

  argument(request, name, sort, value) {
    if (value !== undefined || sort === "*") this.text(request, name, value);
  }

  // A body that is not exactly an object would be taken for an encrypted one.
  read(body) {
    return body.startsWith("{") && body.endsWith("}") ? JSON.parse(body) : null;
  }

  stopsAt(code) {
    return code === ERROR.notAuthorised;
  }

  // For functions with windows: the same request again and again, until it is answered.
  callWithWindow(name, ...values) {
    const marks = { ServiSignFunctionIndex: 0, KeepAlive: true, topuidetect: true, ServiSignMainThread: true };
    const request = this.request(name, this.methods[name], values, marks);
    let result = this.send(request);
    for (; result === "heartbeat"; result = this.send(request)) this.beats += 1;
    return result;
  }
}
