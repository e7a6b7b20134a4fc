// Chromium's WebSocket on a page of the site: text, binary, large messages, close codes, many at once.

import assert from "node:assert/strict";
import { inChromium } from "./chromium.mjs";

const base = process.argv[2];

await inChromium(async (context) => {
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`${error}`));
  page.on("console", (message) => {
    // A page without an icon of its own has the browser ask for one, which the site does not have.
    if (!message.location().url.endsWith("/favicon.ico")) {
      complaints.push(message.text());
    }
  });
  const statuses = await watchHandshakes(context, page);
  await page.goto(`${base}/hello`);
  const done = await page.evaluate(inThePage, base.replace("http", "ws") + "/ws");
  assert.deepEqual(done, {
    extensions: "permessage-deflate",
    differing: [],
    closed: [[1000, true], [1005, true], [3000, true], [4000, true], [4999, true]],
    many: 1000,
  });
  assert.deepEqual(complaints, []);
  // On a stream of the page's own connection where there is one that speaks HTTP/2 (RFC 8441), else by an
  // upgrade.
  assert.deepEqual([...new Set(statuses)], [base.startsWith("https:") ? 200 : 101]);

  // A page that goes away ends its connections, with messages under way; the next one is served.
  for (let count = 0; count < 3; count += 1) {
    await page.evaluate(leaveMuchUnderWay, base.replace("http", "ws") + "/ws");
    await page.reload();
  }
  const again = await page.evaluate(inThePage, base.replace("http", "ws") + "/ws");
  assert.deepEqual(again, done);
});

/** With which status each WebSocket of the page is opened. */
async function watchHandshakes(context, page) {
  const statuses = [];
  const tools = await context.newCDPSession(page);
  tools.on("Network.webSocketHandshakeResponseReceived", ({ response }) => statuses.push(response.status));
  await tools.send("Network.enable");
  return statuses;
}

async function inThePage(url) {
  const text = "Gezeitentor: ζ 水 🌊. ".repeat(500);

  function event(socket, type) {
    return new Promise((resolve, reject) => {
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code} before ${type}`));
      socket.onerror = () => reject(new Error(`an error before ${type}`));
      socket[`on${type}`] = resolve;
    });
  }

  async function open(binaryType = "arraybuffer") {
    const socket = new WebSocket(url);
    socket.binaryType = binaryType;
    await event(socket, "open");
    return socket;
  }

  async function asked(socket, message) {
    const answer = event(socket, "message");
    socket.send(message);
    return (await answer).data;
  }

  const differing = [];
  function same(what, found, expected) {
    if (found !== expected) {
      differing.push(`${what}: ${String(found).slice(0, 100)}`);
    }
  }

  const socket = await open();
  // Only the name: which parameters are agreed on is the server's choice.
  const extensions = socket.extensions.split(";")[0];
  for (const message of ["", "x", text, text.repeat(100)]) {
    same("text", await asked(socket, message), message);
  }
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
    const data = Uint8Array.from({ length }, (_, index) => index * 7 + (index >> 8));
    const answer = new Uint8Array(await asked(socket, data.buffer));
    same("length", answer.length, length);
    same("bytes", answer.findIndex((byte, index) => byte !== data[index]), -1);
  }
  const blobs = await open("blob");
  same("blob", await (await asked(blobs, new Blob(["a", "b"]))).text(), "ab");

  const closed = [];
  for (const code of [1000, undefined, 3000, 4000, 4999]) {
    const one = await open();
    const end = event(one, "close");
    code === undefined ? one.close() : one.close(code, "a reason");
    const { code: found, wasClean } = await end;
    closed.push([found, wasClean]);
  }

  // Chromium lets a page that opens very many wait.
  const counts = await Promise.all(Array.from({ length: 10 }, async (_, number) => {
    const one = await open();
    for (let count = 0; count < 100; count += 1) {
      same("one of many", await asked(one, `${number} ${count}`), `${number} ${count}`);
    }
    one.close();
    return 100;
  }));
  return { extensions, differing, closed, many: counts.reduce((sum, count) => sum + count) };
}

async function leaveMuchUnderWay(url) {
  await Promise.all(Array.from({ length: 5 }, async () => {
    const socket = new WebSocket(url);
    await new Promise((resolve) => (socket.onopen = resolve));
    for (let count = 0; count < 20; count += 1) {
      socket.send(new Uint8Array(100_000));
    }
  }));
}
