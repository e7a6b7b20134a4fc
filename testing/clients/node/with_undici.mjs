// undici: a pool, pipelining, streams, aborts.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { Client, Pool } from "undici";

const base = process.argv[2];
const content = Buffer.alloc(2_000_000, "0123456789abcdefg");

async function pooled() {
  const pool = new Pool(base, { connections: 8 });
  const answers = await Promise.all(
    Array.from({ length: 400 }, () => pool.request({ path: "/hello", method: "GET" })),
  );
  for (const { statusCode, body } of answers) {
    assert.equal(statusCode, 200);
    assert.equal(await body.text(), "Hello, World!");
  }
  await pool.close();
}

/** Answers come in the order of the requests, whatever each takes. */
async function pipelined() {
  const client = new Client(base, { pipelining: 16 });
  const asked = Array.from({ length: 100 }, (_, index) => {
    const path = index % 10 === 3 ? "/delay/20" : `/bytes/${index * 100}`;
    return client.request({ path, method: "GET", idempotent: true, blocking: false });
  });
  const answers = await Promise.all(asked.map(async (answer) => (await (await answer).body.bytes()).length));
  answers.forEach((length, index) => {
    if (index % 10 !== 3) {
      assert.equal(length, index * 100);
    }
  });
  await client.close();
}

async function streamed() {
  const client = new Client(base);
  const { body } = await client.request({ path: "/echo", method: "POST", body: Readable.from(pieces()) });
  assert.deepEqual(Buffer.from(await body.arrayBuffer()), content);
  const stream = await client.request({ path: "/stream", method: "GET" });
  assert.equal((await stream.body.arrayBuffer()).byteLength, 900);
  const waiting = await client.request({
    path: "/echo",
    method: "POST",
    headers: { "content-type": "application/x-test" },
    body: content,
  });
  assert.equal(waiting.headers["content-type"], "application/x-test");
  assert.deepEqual(Buffer.from(await waiting.body.arrayBuffer()), content);
  await client.close();
}

function* pieces() {
  for (let begin = 0; begin < content.length; begin += 9_973) {
    yield content.subarray(begin, begin + 9_973);
  }
}

async function brokenOff() {
  const pool = new Pool(base, { connections: 4 });
  for (let count = 0; count < 20; count += 1) {
    const { body } = await pool.request({ path: "/bytes/50000000", method: "GET" });
    body.on("error", () => {});
    body.destroy();
    const wait = pool.request({ path: "/delay/500", method: "GET", signal: AbortSignal.timeout(10) });
    await assert.rejects(wait);
  }
  const { body } = await pool.request({ path: "/hello", method: "GET" });
  assert.equal(await body.text(), "Hello, World!");
  await pool.destroy();
}

await pooled();
await pipelined();
await streamed();
await brokenOff();
