// Chromium opens the demonstration page and tries everything on it.

import assert from "node:assert/strict";
import { inChromium } from "./chromium.mjs";

const base = process.argv[2];

await inChromium(async (context) => tryPage(context.pages()[0] ?? (await context.newPage())));

async function tryPage(page) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`${error}`));
  page.on("console", (message) => {
    // A status that is asked for is an answer; the browser complains of it all the same.
    const isAskedFor = ["/status/", "/cors/closed"].some((path) => message.location().url.includes(path))
      || message.text().includes("/cors/closed' from origin");
    if (["error", "warning"].includes(message.type()) && !isAskedFor) {
      complaints.push(`${message.text()} (${message.location().url})`);
    }
  });
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    // Chromium says so, too, of an answer with `no-store` that was read to its end piece by piece,
    // whoever the server is; what was read is checked below.
    const isAskedFor = request.url().endsWith("/cors/closed");
    if (errorText !== "net::ERR_ABORTED" && !isAskedFor) {
      complaints.push(`${request.url()}: ${errorText}`);
    }
  });

  await page.goto(`${base}/`);
  await page.locator("#facts li").first().waitFor();
  const protocols = () => page.evaluate(() => performance.getEntries().map((entry) => entry.nextHopProtocol).filter(Boolean));
  assert.deepEqual([...new Set(await protocols())], [base.startsWith("https:") ? "h2" : "http/1.1"]);

  /** Clicks, waits for a result that matches, and sees that it is a good one. */
  async function click(button, result, pattern) {
    const output = page.locator(result);
    await page.locator(button).click();
    await output.filter({ hasText: pattern }).waitFor();
    await page.locator(`${button}:not([disabled])`).waitFor();
    assert.match(await output.textContent(), pattern);
    assert.doesNotMatch((await output.getAttribute("class")) ?? "", /\bbad\b/, `${button}: ${await output.textContent()}`);
  }

  await click("#hello-one", "#hello-result", /^200 Hello, World!$/);
  await click("#hello-many", "#hello-result", /^200 Hello, World!$/);
  await click("#echo-send", "#echo-result", /^200, \d+ bytes in .*\n.*tide/s);
  await click("#echo-large", "#echo-result", /^200, 16\.0 MiB there and back .* all the same$/);
  await click("#stream-run", "#stream-result", /^900 bytes in .*; Content-Length: none$/);
  await click("#bytes-run", "#bytes-result", /^200, 64\.0 MiB in .* each byte right$/);
  await click("#file-run", "#bytes-result", /^200, 2\.0 MiB in .* each byte right$/);
  for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH"]) {
    await page.locator("#inspect-method").selectOption(method);
    await page.locator("#inspect-run").click();
    await page.locator("#inspect-table tr", { hasText: /^method/ }).filter({ hasText: method }).waitFor();
  }
  await page.locator("#wait-ms").selectOption("250");
  await click("#wait-run", "#wait-result", /^all six of delay after .* all six of block after .*$/);
  for (const status of [200, 204, 404, 418, 500, 503]) {
    await click(`#status-${status}`, "#status-result", new RegExp(`^${status} `));
  }
  await click("#status-301", "#status-result", /^a redirect/);
  await click("#status-run", "#status-result", /^451 /);

  await click("#socket-send", "#socket-result", /^“The tide.*” after /);
  await click("#socket-many", "#socket-result", /^1000 messages .* all in order$/);
  await click("#socket-large", "#socket-result", /^1\.0 MiB there and back .* all the same$/);
  await page.locator("#live-connections", { hasText: /^[0-9]+$/ }).waitFor();

  await click("#events-1", "#events-result", /^[0-9:]{8}, 1 listening; 3 ticks$/);
  await click("#events-2", "#events-result", /^30 events over 3 connections in .* none missed$/);
  await click("#files-1", "#files-result", /^at 500 s of 600 s after /);
  await click("#files-2", "#files-result", /^broken off after .* then 206, .* all the same$/);
  await click("#upload-1", "#upload-result", /^200 in .*: no file; note = high water$/);
  const file = { name: "größe.txt", mimeType: "text/plain", buffer: Buffer.from("tide") };
  await page.locator("#upload-form input[type=file]").setInputFiles([file, { ...file, name: "b.txt" }]);
  await click("#upload-1", "#upload-result", /^200 in .*: größe.txt \(4 bytes\), b.txt \(4 bytes\); note = high water$/);
  await click("#upload-2", "#upload-result", /^200 in .*: 16 MiB.bin \(16.0 MiB\); note = made here$/);
  assert.equal(await page.locator("#upload-progress").evaluate((bar) => bar.value), 1);
  const opening = page.context().waitForEvent("page");
  await page.locator("#upload-form-send").click();
  const told = JSON.parse(await (await opening).locator("pre").textContent());
  assert.deepEqual(told.files.map(({ sent_name }) => sent_name), ["größe.txt", "b.txt"]);
  await page.bringToFront();
  await click("#forward-1", "#forward-result", new RegExp(`^200 to .*forwarded: for=.*proto=${new URL(base).protocol.slice(0, -1)}`, "is"));
  await click("#cors-1", "#cors-result", new RegExp(`^200 from localhost:[0-9]+: PUT by ${base}, X-Tide: high$`));
  await click("#cors-2", "#cors-result", /^kept from this page: /);

  await page.locator("#load-run").click();
  await page.waitForFunction(() => Number(document.querySelector("#load-count").textContent.replaceAll(",", "")) > 200);
  await page.locator("#load-run").click();
  assert.equal(await page.locator("#load-failed").textContent(), "0");

  assert.deepEqual(complaints, []);
}
