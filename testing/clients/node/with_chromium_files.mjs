// Chromium seeks in a sound and downloads it over a connection that breaks: it asks for the parts it needs.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { inTurn } from "./cases.mjs";
import { inChromium } from "./chromium.mjs";

const base = process.argv[2], isSecured = base.startsWith("https:");
const PATH = "/tide.wav";
const sum = (content) => createHash("sha256").update(content).digest("hex");

// What a media element has loaded is in no script's hands: the browser's requests and the answers tell.
async function seeks(context) {
  const page = await context.newPage();
  const parts = [];
  page.on("response", async (response) => {
    if (new URL(response.url()).pathname !== PATH) return;
    // The headers as the page has them: those of the wire are a 304's when the browser asks again for a part that it has.
    const { range } = await response.request().allHeaders();
    parts.push([response.status(), range, response.headers()["content-range"]]);
  });
  await page.goto(`${base}/`);
  // So slowly that it cannot have all of it before the first place is sought.
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  const speed = { offline: false, latency: 0, downloadThroughput: 200_000, uploadThroughput: -1 };
  await network.send("Network.emulateNetworkConditions", speed);
  const seconds = await page.evaluate(async () => {
    const audio = document.querySelector("#files-audio");
    const happens = (event) => new Promise((resolve, reject) => {
      audio.addEventListener(event, resolve, { once: true });
      audio.addEventListener("error", () => reject(new Error(audio.error.message)), { once: true });
    });
    audio.preload = "metadata";
    const loaded = happens("loadedmetadata");
    audio.load();
    await loaded;
    const reached = [audio.duration];
    for (const second of [590, 10, 300]) {
      const seeked = happens("seeked");
      audio.currentTime = second;
      await seeked;
      reached.push(audio.currentTime);
    }
    return reached;
  });
  assert.deepEqual(seconds, [600, 590, 10, 300]);
  assert.match(parts[0][1], /^bytes=0-/);
  const begins = [];
  for (const [status, range, contentRange] of parts) {
    assert.equal(status, 206, `${range}`);
    const begin = Number(/^bytes=([0-9]+)-/.exec(range)[1]);
    assert.match(contentRange, new RegExp(`^bytes ${begin}-[0-9]+/4800044$`));
    begins.push(begin);
  }
  // One of them at least leaves out most of what comes before the place that was sought.
  assert(begins.some((begin) => begin > 2_000_000 && begin <= 590 * 8000 + 44), `${begins}`);
  await page.close();
}

async function resumesByScript(context) {
  const page = await context.newPage();
  await page.goto(`${base}/`);
  await page.locator("#files-2").click();
  const result = page.locator("#files-result", { hasText: /same$|failed/ });
  await result.waitFor();
  assert.match(await result.textContent(), /^broken off after [0-9.]+ MiB, then 206, bytes [0-9]+-4800043\/4800044; all the same$/);
  await page.close();
}

/** Passes connections on to the server, and ends the first that brings the file after some of it. */
async function breaking() {
  const { hostname, port } = new URL(base), heads = [];
  let isBroken = false;
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    let left = Infinity;
    client.on("data", (data) => {
      const head = data.toString("latin1");
      if (head.startsWith(`GET ${PATH} `)) {
        heads.push(head);
        if (!isBroken) left = 1_500_000;
      }
      server.write(data);
    });
    server.on("data", (data) => {
      left -= data.length;
      if (left > 0) {
        if (!client.write(data)) {
          server.pause();
          client.once("drain", () => server.resume());
        }
      } else if (!isBroken) {
        isBroken = true;
        client.end(data);
        server.destroy();
      }
    });
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on("end", () => other.end());
      one.on("error", () => other.destroy());
    }
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return { port: proxy.address().port, heads, isBroken: () => isBroken, proxy };
}

// Chromium goes on by itself with what has ended before its length.
async function resumesByItself(context) {
  const { port, heads, isBroken, proxy } = await breaking();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  const coming = page.waitForEvent("download");
  await page.locator("#files-download").click();
  const download = await coming;
  assert.equal(await download.failure(), null);
  assert(isBroken());
  const whole = Buffer.from(await (await fetch(`${base}${PATH}`)).arrayBuffer());
  assert.equal(sum(readFileSync(await download.path())), sum(whole));
  assert.equal(heads.length, 2);
  const [first, second] = heads;
  assert.doesNotMatch(first, /^range:/im);
  const begin = Number(/^range: bytes=([0-9]+)-/im.exec(second)[1]);
  // What came before the end, which the last piece had.
  assert(begin > 1_000_000 && begin < 4_000_000, `${begin}`);
  assert.match(second, /^if-range: "/im);
  await page.close();
  proxy.close();
}

await inChromium(async (context) => {
  // Over TLS, a connection that ends too soon is an error, with which Chromium waits for a person.
  const cases = isSecured ? [seeks, resumesByScript] : [seeks, resumesByScript, resumesByItself];
  await inTurn(cases, (visit) => visit(context));
});
