// Node's own http module and fetch: an agent that keeps connections, streams, aborts, interim answers.

import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { inTurn } from "./cases.mjs";

const base = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

/** Sends a request; `write` gives its content. */
async function ask(path, options = {}, write = (request) => request.end()) {
  const request = http.request(base + path, { agent, ...options });
  const answered = once(request, "response");
  await write(request);
  const [response] = await answered;
  return { request, response };
}

const content = Buffer.alloc(3_000_000, "0123456789abcdefg");

async function connectionsAreKept() {
  const ports = new Set();
  for (let count = 0; count < 30; count += 1) {
    const { response } = await ask("/hello");
    ports.add(response.socket.localPort);
    assert.equal((await buffer(response)).toString(), "Hello, World!");
  }
  assert.equal(ports.size, 1);
}

async function contentStreamsBothWays() {
  const request = http.request(base + "/echo", { agent, method: "POST" });
  const answered = once(request, "response").then(([response]) => buffer(response));
  await pipeline(Readable.from(pieces(content)), request);
  assert.deepEqual(await answered, content);
}

function* pieces(bytes) {
  for (let begin = 0; begin < bytes.length; begin += 10_007) {
    yield bytes.subarray(begin, begin + 10_007);
  }
}

/** The answer must begin while the request goes on. */
async function theEchoDoesNotWaitForTheEnd() {
  const request = http.request(base + "/echo", { agent, method: "POST" });
  request.write("first");
  const [response] = await once(request, "response");
  const ended = once(response, "end");
  const [first] = await once(response, "data");
  assert.equal(first.toString(), "first");
  request.end("second");
  const [second] = await once(response, "data");
  assert.equal(second.toString(), "second");
  await ended;
}

async function anInterimAnswerComesFirst() {
  const { response } = await ask(
    "/echo",
    { method: "POST", headers: { Expect: "100-continue", "Content-Length": content.length } },
    async (request) => {
      request.flushHeaders();
      await once(request, "continue");
      request.end(content);
    },
  );
  assert.deepEqual(await buffer(response), content);
}

async function aDownloadIsBrokenOff() {
  for (let count = 0; count < 10; count += 1) {
    const { request, response } = await ask("/bytes/50000000");
    await once(response, "data");
    response.on("error", () => {});
    request.destroy();
  }
  await connectionsAreKept();
}

async function anUploadIsBrokenOff() {
  for (let count = 0; count < 10; count += 1) {
    const request = http.request(base + "/echo", { agent, method: "POST" });
    request.on("error", () => {});
    request.on("response", (response) => response.resume().on("error", () => {}));
    request.write(content.subarray(0, 100_000));
    await new Promise((resolve) => setTimeout(resolve, count));
    request.destroy();
  }
  await connectionsAreKept();
}

async function statusesAndHeads() {
  for (const status of [204, 304, 404, 500]) {
    const { response } = await ask(`/status/${status}`);
    assert.equal(response.statusCode, status);
    await buffer(response);
  }
  const { response } = await ask("/bytes/4321", { method: "HEAD" });
  assert.equal(response.headers["content-length"], "4321");
  assert.equal((await buffer(response)).length, 0);
}

async function fetchWorks() {
  const hello = await fetch(base + "/hello");
  assert.equal(await hello.text(), "Hello, World!");
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces(content)) {
        controller.enqueue(piece);
      }
      controller.close();
    },
  });
  const echo = await fetch(base + "/echo", { method: "POST", body, duplex: "half" });
  assert.deepEqual(Buffer.from(await echo.arrayBuffer()), content);
  const inspected = await (await fetch(base + "/inspect?a=1")).json();
  assert.equal(inspected.method, "GET");
  await assert.rejects(fetch(base + "/delay/10000", { signal: AbortSignal.timeout(100) }));
}

await inTurn([
  connectionsAreKept,
  contentStreamsBothWays,
  theEchoDoesNotWaitForTheEnd,
  anInterimAnswerComesFirst,
  aDownloadIsBrokenOff,
  anUploadIsBrokenOff,
  statusesAndHeads,
  fetchWorks,
]);
agent.destroy();
