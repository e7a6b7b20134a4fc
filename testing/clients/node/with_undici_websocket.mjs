// undici's WebSocket, which is the one that newer versions of Node have built in.

import assert from "node:assert/strict";
import { WebSocket } from "undici";
import { inTurn } from "./cases.mjs";

const url = process.argv[2].replace("http", "ws") + "/ws";
const text = "Gezeitentor: ζ 水 🌊. ".repeat(500);

function event(socket, type) {
  return new Promise((resolve, reject) => {
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code} before ${type}`));
    socket.onerror = () => reject(new Error(`an error before ${type}`));
    socket[`on${type}`] = resolve;
  });
}

async function asked(socket, message) {
  const answer = event(socket, "message");
  socket.send(message);
  return (await answer).data;
}

async function messagesComeBack() {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  await event(socket, "open");
  assert.ok(["", "permessage-deflate"].includes(socket.extensions.split(";")[0]), socket.extensions);
  for (const message of ["", "x", text, text.repeat(60)]) {
    assert.equal(await asked(socket, message), message);
  }
  for (const length of [0, 1, 126, 65_536, 1 << 20]) {
    const data = Uint8Array.from({ length }, (_, index) => index * 7);
    assert.deepEqual(new Uint8Array(await asked(socket, data)), data);
  }
  assert.equal(await asked(socket, new Blob(["a", "b"])).then((data) => data.byteLength), 2);
  const closing = event(socket, "close");
  socket.close(4000, "own");
  const closed = await closing;
  assert.deepEqual([closed.code, closed.wasClean], [4000, true]);
}

async function manyAtOnce() {
  await Promise.all(Array.from({ length: 50 }, async (_, number) => {
    const one = new WebSocket(url);
    await event(one, "open");
    for (let count = 0; count < 10; count += 1) {
      assert.equal(await asked(one, `${number} ${count}`), `${number} ${count}`);
    }
    const ended = event(one, "close");
    one.close();
    assert.equal((await ended).wasClean, true);
  }));
}

await inTurn([messagesComeBack, manyAtOnce]);
