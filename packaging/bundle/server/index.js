// Carries MCP between a local host (lines on stdin and stdout) and a WADM server (Streamable HTTP).
// Nothing but JSON-RPC is written to stdout. A session that the server has forgotten, after a
// restart for example, is begun anew without the host noticing.
"use strict";

const readline = require("node:readline");

const url = process.env.WADM_MCP_URL || "";
const key = process.env.WADM_API_KEY || "";
const RETRY_MS = 5000;
let session = null;
let version = null;
let hello = null;
let ready = Promise.resolve();
let listening = false;

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function headers(extra) {
  const found = { Accept: "application/json, text/event-stream", ...extra };
  if (key) found["X-API-Key"] = key;
  if (session) found["Mcp-Session-Id"] = session;
  if (version) found["MCP-Protocol-Version"] = version;
  return found;
}

async function* events(response) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true }).replaceAll("\r\n", "\n");
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const lines = text.slice(0, end).split("\n").filter((line) => line.startsWith("data:"));
      text = text.slice(end + 2);
      const data = lines.map((line) => line.slice(5).trim()).join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}

async function post(message) {
  const body = JSON.stringify(message);
  const sent = { method: "POST", headers: headers({ "Content-Type": "application/json" }), body };
  return fetch(url, sent);
}

async function begin() {
  session = null;
  version = null;
  const response = await post(hello);
  session = response.headers.get("mcp-session-id");
  let answer = null;
  const streamed = (response.headers.get("content-type") || "").includes("event-stream");
  if (streamed) for await (const told of events(response)) answer = told;
  else answer = await response.json();
  version = answer && answer.result ? answer.result.protocolVersion : null;
  return answer;
}

async function again() {
  await begin();
  await post({ jsonrpc: "2.0", method: "notifications/initialized" });
}

async function pass(response) {
  if ((response.headers.get("content-type") || "").includes("event-stream")) {
    for await (const told of events(response)) say(told);
  } else {
    const text = await response.text();
    if (text.trim()) say(JSON.parse(text));
  }
}

async function listen() {
  listening = true;
  while (session) {
    try {
      const response = await fetch(url, { headers: headers() });
      if (response.status === 405) break;
      if (response.ok) for await (const told of events(response)) say(told);
    } catch {
      // The next round tries again.
    }
    await new Promise((wake) => setTimeout(wake, RETRY_MS).unref());
  }
  listening = false;
}

async function carry(message) {
  if (message.method === "initialize") {
    hello = message;
    say(await begin());
    return;
  }
  await ready;
  let response = await post(message);
  if (response.status === 404 && session && hello) {
    ready = again();
    await ready;
    response = await post(message);
  }
  await pass(response);
  if (message.method === "notifications/initialized" && !listening && session) listen();
}

function failed(message, error) {
  process.stderr.write(`wadm: ${error.message}\n`);
  if (message.id === undefined || message.method === undefined) return;
  const text = "the WADM server can't be reached; check its address and key";
  say({ jsonrpc: "2.0", id: message.id, error: { code: -32000, message: text } });
}

if (!url) {
  process.stderr.write("wadm: WADM_MCP_URL is not set\n");
  process.exit(2);
}
const open = new Set();
readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (!line.trim()) return;
    const message = JSON.parse(line);
    const work = carry(message).catch((error) => failed(message, error));
    if (message.method === "initialize") ready = work;
    open.add(work);
    work.finally(() => open.delete(work));
  })
  .on("close", async () => {
    await Promise.all(open);
    process.exit(0);
  });
