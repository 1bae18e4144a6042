// What each of the agent's own pages does to be known as ours: it shows a token once, for one connection.

import { HcaAgent } from "/agent.js";

export const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;

let unused = meta("page-token");

/** The token that this page came with, or one that comes with a fresh copy of it; each is good for one connection. */
export async function takeToken() {
  const token = unused;
  unused = null;
  if (token) return token;
  const copy = await (await fetch(location.pathname, { cache: "no-store" })).text();
  return /name="page-token" content="([\w-]+)"/.exec(copy)[1];
}

/** An agent that is connected; `listen` is told of it before, so that it misses nothing. */
export async function connectedAgent(timeout, listen = () => {}) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const token = await takeToken().catch(() => "");
  const agent = new HcaAgent({ addresses: [`${scheme}://${location.host}/v1?page=${token}`], timeout });
  listen(agent);
  await agent.connect();
  return agent;
}
