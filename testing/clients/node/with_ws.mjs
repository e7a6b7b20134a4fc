// ws: with and without compression, fragments, pings, close codes, streams, connections broken off.

import assert from "node:assert/strict";
import { on, once } from "node:events";
import { Readable } from "node:stream";
import { WebSocket, createWebSocketStream } from "ws";
import { inTurn } from "./cases.mjs";

const url = process.argv[2].replace("http", "ws") + "/ws";
const text = "Gezeitentor: ζ 水 🌊. ".repeat(500);

function bytes(length) {
  return Buffer.from(Array.from({ length: 997 }, (_, index) => (index * 31) % 251)).toString("latin1")
    .repeat(Math.ceil(length / 997)).slice(0, length);
}

async function open(options = {}) {
  const socket = new WebSocket(url, { handshakeTimeout: 20_000, ...options });
  await once(socket, "open");
  return socket;
}

async function closed(socket, code, reason) {
  const ended = once(socket, "close");
  socket.close(code, reason);
  const [got] = await ended;
  return got;
}

/** Answers as they come, each with whether it is binary. */
function answers(socket) {
  const messages = on(socket, "message", { close: ["close"] });
  return async () => {
    const { done, value } = await messages.next();
    assert.ok(!done, "closed instead of an answer");
    const [data, isBinary] = value;
    return { data, isBinary };
  };
}

async function messagesComeBack(options) {
  const socket = await open(options);
  assert.equal(socket.extensions, options.perMessageDeflate ? "permessage-deflate" : "");
  const next = answers(socket);
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
    const data = Buffer.from(bytes(length), "latin1");
    socket.send(data);
    const answer = await next();
    assert.equal(answer.isBinary, true);
    assert.deepEqual(answer.data, data);
  }
  for (const message of ["", "x", text, text.repeat(60)]) {
    socket.send(message);
    const answer = await next();
    assert.equal(answer.isBinary, false);
    assert.equal(answer.data.toString(), message);
  }
  // Whether a message is compressed is for each message anew.
  for (let count = 0; count < 40; count += 1) {
    socket.send(text, { compress: count % 3 === 0 });
  }
  for (let count = 0; count < 40; count += 1) {
    assert.equal((await next()).data.toString(), text);
  }
  // Fragments, with pings between them.
  const lastPong = new Promise((resolve) => {
    // Of pings that come together, a server may answer only the last (RFC 6455, 5.5.3).
    socket.on("pong", (payload) => payload.toString() === "190" && resolve());
  });
  for (let count = 0; count < 200; count += 1) {
    socket.send(`fragment ${count};`, { fin: count === 199 });
    if (count % 10 === 0) {
      socket.ping(`${count}`);
    }
  }
  const whole = Array.from({ length: 200 }, (_, count) => `fragment ${count};`).join("");
  assert.equal((await next()).data.toString(), whole);
  await lastPong;
  assert.equal(await closed(socket, 4000, "own"), 4000);
}

async function closeCodesComeBack() {
  for (const [code, expected] of [[1000, 1000], [1001, 1001], [3000, 3000], [4000, 4000], [4999, 4999]]) {
    assert.equal(await closed(await open(), code, "a reason"), expected);
  }
  // A close frame without a code is answered by one without.
  assert.ok([1000, 1005].includes(await closed(await open())));
}

async function pipedThere() {
  const stream = createWebSocketStream(await open({ perMessageDeflate: false }));
  const piece = Buffer.from(bytes(64_000), "latin1");
  Readable.from(Array.from({ length: 500 }, () => piece)).pipe(stream);
  let length = 0;
  for await (const data of stream) {
    length += data.length;
    if (length === 500 * piece.length) {
      break;
    }
  }
  assert.equal(length, 500 * piece.length);
}

async function brokenOff() {
  for (let count = 0; count < 60; count += 1) {
    const socket = await open();
    socket.on("error", () => {});
    for (let sent = 0; sent < count; sent += 1) {
      socket.send(text);
    }
    const ended = once(socket, "close");
    socket.terminate();
    assert.equal((await ended)[0], 1006);
  }
}

async function manyAtOnce() {
  await Promise.all(Array.from({ length: 200 }, async (_, number) => {
    const socket = await open({ perMessageDeflate: number % 2 === 0 });
    const next = answers(socket);
    for (let count = 0; count < 10; count += 1) {
      const message = `${number} ${count} `.repeat(count * 30);
      socket.send(message);
      assert.equal((await next()).data.toString(), message);
    }
    assert.equal(await closed(socket, 1000), 1000);
  }));
}

for (const perMessageDeflate of [
  false,
  { threshold: 0 },
  { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true },
  { threshold: 0, clientMaxWindowBits: 9, serverMaxWindowBits: 9 },
  { threshold: 1024, serverMaxWindowBits: 12, clientNoContextTakeover: true },
]) {
  await inTurn([messagesComeBack], (visit) => visit({ perMessageDeflate }));
}
await inTurn([closeCodesComeBack, pipedThere, brokenOff, manyAtOnce]);
