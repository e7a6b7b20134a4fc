// Where no WebSocket can be opened: eventsource with requests of its own, and the server's scripts, which find their
// way by themselves.

import assert from "node:assert/strict";
import { EventSource } from "eventsource";
import { WebSocket } from "undici";
import { inTurn } from "./cases.mjs";
import { withoutUpgrades } from "./no_upgrades.mjs";

const base = process.argv[2];
const proxy = await withoutUpgrades(base);
globalThis.WebSocket = WebSocket;
globalThis.EventSource = EventSource;
for (const name of ["websocket.js", "tidegate.channels.js"]) {
  const script = await (await fetch(`${base}/tidegate/${name}`)).text();
  await import(`data:text/javascript,${encodeURIComponent(script)}`);
}
const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

await inTurn([
  eventsAndRequests,
  theScriptFallsBack,
  muchComesInOrder,
  channelsAsUsual,
  withoutAServerItComesBack,
  withoutLeaveItDoesNot,
]);
proxy.close();

async function eventsAndRequests() {
  const url = `${base}/ws?tidegate-transport=sse`;
  const source = new EventSource(url);
  const heard = [];
  let tell = () => {};
  for (const name of ["open", "text", "binary", "close"]) {
    source.addEventListener(name, ({ data }) => {
      if (data !== undefined) heard.push([name, JSON.parse(name === "binary" ? `"${data}"` : data)]);
      tell();
    });
  }
  const hear = async () => {
    while (!heard.length) await new Promise((resolve) => (tell = resolve));
    return heard.shift();
  };
  const say = async (number, ...messages) => {
    const headers = { "Tidegate-Session": session, "Tidegate-Number": `${number}` };
    return (await fetch(url, { method: "POST", headers, body: JSON.stringify(messages) })).status;
  };
  const [, { session, protocol }] = await hear();
  assert.match(session, /^[0-9a-f]{32}$/);
  assert.equal(protocol, null);
  assert.equal(await say(1, { text: "ζ\r\n水" }, { binary: "AP8=" }), 204);
  assert.deepEqual([await hear(), await hear()], [["text", "ζ\r\n水"], ["binary", "AP8="]]);
  assert.equal(await say(3), 409);
  assert.equal(await say(2, { close: { code: 4000 } }), 204);
  assert.deepEqual(await hear(), ["close", { code: 4000, reason: "" }]);
  source.close();
  assert.equal(await say(3), 404);
}

async function theScriptFallsBack() {
  const before = proxy.refused();
  for (const _ of ["first", "later"]) {
    const socket = new TidegateWebSocket(`${proxy.url}/ws`);
    assert.equal(socket.send("waits"), true);
    await event(socket, "open");
    assert.deepEqual([socket.transport, socket.isOpen, socket.protocol], ["sse", true, ""]);
    assert.equal((await event(socket, "message")).data, "waits");
    for (const text of ["", "x", "a\rb\nc\0\u2028", "\ufeff水".repeat(1000)]) {
      socket.send(text);
      assert.equal((await event(socket, "message")).data, text);
    }
    socket.send("half \ud83d");
    assert.equal((await event(socket, "message")).data, "half \ufffd");
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index * 7);
    for (const data of [bytes, bytes.buffer, new Blob([bytes])]) {
      socket.send(data);
      assert.deepEqual(new Uint8Array((await event(socket, "message")).data), bytes);
    }
    // An answer by the stream may be here before that of the request.
    while (socket.waiting.bytes) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(socket.waiting.messages, 0);
    const closed = event(socket, "close");
    socket.close(4000, "done");
    const { code, reason, wasClean, delay } = await closed;
    assert.deepEqual([code, reason, wasClean, delay], [4000, "done", true, undefined]);
  }
  assert.equal(proxy.refused() - before, 1, "it remembers");
}

async function muchComesInOrder() {
  const socket = new TidegateWebSocket(`${proxy.url}/ws`, { queueMax: Infinity });
  const seen = [];
  const all = new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => seen.push(data) === 5000 && resolve());
  });
  for (let number = 0; number < 5000; number += 1) socket.send(`${number}`);
  await all;
  assert.deepEqual(seen, Array.from({ length: 5000 }, (_, number) => `${number}`));
  socket.close();
  await event(socket, "close");
}

async function channelsAsUsual() {
  const channels = new TidegateChannels(`${proxy.url}/ws/chat`);
  const heard = new Promise((resolve) => channels.subscribe("chat", ({ text }) => text === "by events" && resolve()));
  await event(channels, "open");
  assert.ok(await channels.call("connections") >= 1);
  await channels.publish("chat", { name: "Ada", text: "by events" }, { level: 2 });
  await heard;
  channels.close();
  await event(channels, "close");
}

async function withoutAServerItComesBack() {
  const other = await withoutUpgrades(base);
  const socket = new TidegateWebSocket(`${other.url}/ws`, { delayMin: 10, delayMax: 50 });
  await event(socket, "open");
  const lost = event(socket, "close");
  other.close();
  const { code, wasClean, delay } = await lost;
  assert.deepEqual([code, wasClean], [1006, false]);
  assert.ok(delay >= 10);
  socket.close();
}

async function withoutLeaveItDoesNot() {
  const other = await withoutUpgrades(base);
  const socket = new TidegateWebSocket(`${other.url}/ws`, { fallback: false });
  const { code } = await event(socket, "close");
  assert.deepEqual([code, socket.transport, other.refused()], [1006, "websocket", 1]);
  socket.close();
  other.close();
}
