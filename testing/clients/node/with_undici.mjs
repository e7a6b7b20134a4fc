// undici: a pool, pipelining, streams, aborts.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { Client, Pool } from "undici";
import { inTurn } from "./cases.mjs";

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
    const wait = pool.request({ path: "/delay/10000", method: "GET", signal: AbortSignal.timeout(10) });
    await assert.rejects(wait);
  }
  const { body } = await pool.request({ path: "/hello", method: "GET" });
  assert.equal(await body.text(), "Hello, World!");
  await pool.destroy();
}

/** HTTP/2, for which TLS is needed: many requests at once, on one connection. */
async function onStreams() {
  const client = new Client(base, { allowH2: true, pipelining: 100 });
  const seen = await Promise.all(Array.from({ length: 200 }, async () => {
    const { statusCode, body } = await client.request({ path: "/inspect", method: "GET" });
    assert.equal(statusCode, 200);
    return body.json();
  }));
  assert.deepEqual([...new Set(seen.map(({ version }) => version))], ["HTTP/2"]);
  assert.equal(new Set(seen.map(({ connection_id }) => connection_id)).size, 1);
  const { body } = await client.request({ path: "/echo", method: "POST", body: content });
  assert.deepEqual(Buffer.from(await body.arrayBuffer()), content);
  await client.close();
}

await inTurn([pooled, pipelined, streamed, brokenOff]);
if (base.startsWith("https:")) {
  await inTurn([onStreams]);
}
