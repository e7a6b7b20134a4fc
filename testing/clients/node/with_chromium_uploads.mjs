// Chromium sends files to a drop box: by a form as a person would, and by `fetch` in each way that it has.
//
// The words are where the drop box is, and the directory that its files go to.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { inTurn } from "./cases.mjs";
import { inChromium } from "./chromium.mjs";

const [base, directory] = process.argv.slice(2);
const way = base.startsWith("https:") ? "secured" : "plain";
const sum = (content) => createHash("sha256").update(content).digest("hex");
const content = (length) => Buffer.from(Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 255));
const LARGE = content(9_000_000);
const FILES = [
  { name: `${way} größe 写真.bin`, mimeType: "application/octet-stream", buffer: LARGE },
  { name: `${way} a.txt`, mimeType: "text/plain", buffer: Buffer.from("\r\n--boundary--\r\n") },
  { name: `${way} empty.dat`, mimeType: "", buffer: Buffer.alloc(0) },
];

function isStored(name, expected) {
  assert.equal(sum(readFileSync(join(directory, name))), sum(expected), name);
}

async function byForm(page) {
  await page.locator("#upload-form").evaluate((form) => { form.action = "drop/"; });
  await page.locator("#upload-form input[type=file]").setInputFiles(FILES);
  const opening = page.context().waitForEvent("page");
  await page.locator("#upload-form-send").click();
  const answer = await opening;
  await answer.locator("h1", { hasText: "Received" }).waitFor();
  assert.deepEqual(await answer.locator("li a").allTextContents(), FILES.map(({ name }) => name));
  for (const { name, buffer } of FILES) isStored(name, buffer);
  await answer.close();
}

/** Makes the large content in the page and sends it; `how` is run there with it and a name. */
async function sent(page, name, how) {
  const status = await page.evaluate(`(async () => {
    const content = new Uint8Array(${LARGE.length}).map((_, index) => index * 31 + (index >> 8));
    const response = await (${how})(content, ${JSON.stringify(name)});
    return [response.status, await response.json()];
  })()`);
  assert.deepEqual(status, [201, { files: [{ name, size: LARGE.length, location: `/drop/${encodeURIComponent(name)}` }] }]);
  isStored(name, LARGE);
}

const byFormData = (page) => sent(page, `${way} form data.bin`, (content, name) => {
  const form = new FormData();
  form.append("note", "ä");
  form.append("file", new Blob([content]), name);
  return fetch("drop/", { method: "POST", body: form });
});

const byBlob = (page) => sent(page, `${way} blob.bin`, (content, name) =>
  fetch(`drop/${encodeURIComponent(name)}`, { method: "PUT", body: new Blob([content]) }));

const byStream = (page) => sent(page, `${way} stream.bin`, (content, name) => {
  let at = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (at === content.length) return controller.close();
      controller.enqueue(content.slice(at, at += Math.min(100_000, content.length - at)));
    },
  });
  return fetch(`drop/${encodeURIComponent(name)}`, { method: "PUT", body, duplex: "half" });
});

async function brokenOff(page) {
  const before = readdirSync(directory).sort();
  const isArriving = () => readdirSync(directory).some((name) => name.endsWith(".part"));
  // Nothing tells what the server has come to but what is in the directory.
  const becomes = async (wanted) => {
    while (isArriving() !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await page.evaluate(() => {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(300_000_000)]), "cut.bin");
    window.cut = new AbortController();
    window.sending = fetch("drop/", { method: "POST", body: form, signal: window.cut.signal })
      .then(({ status }) => status, ({ name }) => name);
  });
  await becomes(true);
  assert.equal(await page.evaluate(() => { window.cut.abort(); return window.sending; }), "AbortError");
  await becomes(false);
  assert.deepEqual(readdirSync(directory).sort(), before);
}

await inChromium(async (context) => {
  const page = await context.newPage();
  await page.goto(`${base}/`);
  // Chromium streams what it sends by HTTP/2 only.
  const cases = [byForm, byFormData, byBlob, ...(way === "secured" ? [byStream] : []), brokenOff];
  await inTurn(cases, (visit) => visit(page));
});
