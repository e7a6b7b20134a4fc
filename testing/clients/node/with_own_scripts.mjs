// The JavaScript clients that the server serves, against a server that withholds, repeats and breaks off.

import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { inTurn } from "./cases.mjs";

const base = process.argv[2];
globalThis.WebSocket = WebSocket;
for (const name of ["websocket.js", "tidegate.channels.js"]) {
  const script = await (await fetch(`${base}/tidegate/${name}`)).text();
  await import(`data:text/javascript,${encodeURIComponent(script)}`);
}

const REFUSED = -32001;
const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/`;
/** What clients have said and nobody has looked at. */
const said = [];
let socket;
let tell = () => {};
server.on("connection", (connection) => {
  socket = connection;
  connection.on("message", (data) => {
    said.push(...[JSON.parse(data)].flat());
    tell();
  });
});

/** Waits for something that a client says. */
async function hear(matches) {
  for (;;) {
    const index = said.findIndex(matches);
    if (index >= 0) return said.splice(index, 1)[0];
    await new Promise((resolve) => (tell = resolve));
  }
}
const method = (name) => hear((message) => message.method === name);
const publish = (level) => hear(({ method, params }) => method === "publish" && params.level === level);
const answered = (id) => hear((message) => message.id === id && "result" in message);
const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
const say = (...items) => {
  const whole = items.map((item) => ({ jsonrpc: "2.0", ...item }));
  socket.send(JSON.stringify(whole.length === 1 ? whole[0] : whole));
};

// Far longer than an answer takes that comes: one case waits for one that does not.
const channels = new TidegateChannels(url, { delayMin: 10, delayMax: 50, timeout: 2_000 });
await event(channels, "open");
assert.equal(socket.protocol, "tidegate.channels");
/** Messages that the client has told. */
const seen = [];
await inTurn([
  methodsOfTheClientAreCalled,
  messagesAreToldOnce,
  callsSucceedFailAndTimeOut,
  publishesSurviveTheirConnection,
  nothingIsLeftBehind,
  messagesWaitForAConnection,
]);
server.close();

async function methodsOfTheClientAreCalled() {
  channels.on("add", ([a, b]) => a + b);
  channels.on("fail", () => { throw new Error("as asked for"); });
  channels.on("later", async () => "late");
  const call = (id, name, params) => ({ id, method: name, params });
  say(call(1, "add", [1, 2]), call(2, "fail"), call(3, "none"), call(4, "later"), { method: "add", params: [5, 5] });
  assert.equal((await hear(({ id }) => id === 1)).result, 3);
  assert.equal((await hear(({ id }) => id === 2)).error.code, -32603);
  assert.equal((await hear(({ id }) => id === 3)).error.code, -32601);
  assert.equal((await hear(({ id }) => id === 4)).result, "late");
  assert.equal(said.length, 0, "a notification is not answered");
}

async function messagesAreToldOnce() {
  const done = channels.subscribe("news.*", (message, about) => seen.push([message, about.channel, about.level]));
  say({ id: (await method("subscribe")).id, result: true });
  assert.equal(await done, true);
  const message = (channel, content, id, level) =>
    say({ method: "message", params: { channel, level, message: content, id }, id: level && id });
  message("news.a", 1, 10);
  message("weather", 2, 11);
  for (const level of [1, 2]) {
    for (let copies = 0; copies < 3; copies += 1) message("news.b", level, 11 + level, level);
    for (let copies = 0; copies < 3; copies += 1) await answered(11 + level);
  }
  say({ method: "release", params: { id: 13 }, id: 14 });
  await answered(14);
  assert.deepEqual(seen, [[1, "news.a", 0], [1, "news.b", 1], [2, "news.b", 2]]);

  const refused = channels.subscribe("private", () => {});
  say({ id: (await method("subscribe")).id, error: { code: REFUSED, message: "refused" } });
  await assert.rejects(refused, { code: REFUSED });
}

async function callsSucceedFailAndTimeOut() {
  const good = channels.call("m", { a: 1 });
  say({ id: (await method("m")).id, result: [7] });
  assert.deepEqual(await good, [7]);
  const bad = channels.call("m");
  say({ id: (await method("m")).id, error: { code: 5, message: "no", data: 1 } });
  await assert.rejects(bad, { code: 5, data: 1 });
  await assert.rejects(channels.call("m"), /no answer/);
  await method("m");
}

async function publishesSurviveTheirConnection() {
  await channels.publish("a", 0);
  assert.equal((await publish(undefined)).id, undefined, "level 0 is a notification");
  const once = channels.publish("a", 1, { level: 1 });
  const exactly = channels.publish("a", 2, { level: 2 });
  const lost = channels.call("m");
  await publish(1);
  const { id, params } = await publish(2);
  await method("m");
  socket.terminate();
  await assert.rejects(lost, /has ended/);
  const offline = channels.call("m");
  await event(channels, "open");

  const again = await method("subscribe");
  assert.deepEqual(again.params, { channel: "news.*" });
  say({ id: again.id, result: true });
  // What is kept comes again, and has been told.
  say({ method: "message", params: { channel: "news.b", message: 2, id: 13 } });
  say({ id: (await publish(1)).id, result: 20 });
  assert.equal(await once, 20);
  const second = await publish(2);
  assert.deepEqual([second.id, second.params], [id, params]);
  say({ id, result: 21 });
  const release = await method("release");
  assert.deepEqual(release.params, { id: params.id });
  say({ id: release.id, result: true });
  assert.equal(await exactly, 21);
  say({ id: (await method("m")).id, result: "here again" });
  assert.equal(await offline, "here again");
  assert.equal(seen.length, 3);
}

async function nothingIsLeftBehind() {
  const left = channels.unsubscribe("news.*");
  say({ id: (await method("unsubscribe")).id, result: true });
  assert.equal(await left, true);
  const pending = channels.publish("a", 1, { level: 1 });
  const ended = event(channels, "close");
  channels.close();
  await assert.rejects(pending, /has ended/);
  assert.equal((await ended).delay, undefined, "it does not come back");
  assert.deepEqual((await publish(1)).params.message, 1);
}

async function messagesWaitForAConnection() {
  const socket = new TidegateWebSocket(url, { delayMin: 5, delayMax: 20, queueMax: 2 });
  assert.deepEqual(["1", "2", "3"].map((text) => socket.send(text)), [true, true, false]);
  assert.deepEqual([await hear((message) => message === 1), await hear((message) => message === 2)], [1, 2]);
  socket.close();
  assert.equal(socket.send("4"), false);
  await event(socket, "close");
  assert.equal(said.length, 0);
}
