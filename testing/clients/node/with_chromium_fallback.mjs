// Chromium where no WebSocket can be opened: the page and the chat go on over server-sent events.

import assert from "node:assert/strict";
import { inChromium } from "./chromium.mjs";
import { withoutUpgrades } from "./no_upgrades.mjs";

const base = process.argv[2];
const proxy = await withoutUpgrades(base);

await inChromium(async (context) => {
  const complaints = [];

  async function open(path) {
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(`${error}`));
    await page.goto(`${proxy.url}${path}`);
    return page;
  }

  async function click(page, button, result) {
    await page.locator(button).click();
    await page.locator("#socket-result", { hasText: result }).waitFor();
  }

  const page = await open("/");
  await page.locator("#socket-state", { hasText: "open, by events" }).waitFor();
  await click(page, "#socket-send", /^“The tide.*” after /);
  await click(page, "#socket-many", /^1000 messages .* all in order$/);
  await click(page, "#socket-large", /^1\.0 MiB there and back .* all the same$/);
  assert.ok(proxy.refused() > 0);

  // Two people, of whom one can open WebSockets.
  const ada = await open("/chat");
  const bob = await context.newPage();
  await bob.goto(`${base}/chat`);
  const heard = (page, text) => page.locator("#said li").filter({ hasText: text }).waitFor();
  for (const [from, to, name] of [[ada, bob, "Ada"], [bob, ada, "Bob"]]) {
    await from.locator("#name").fill(name);
    // What others have said, the chat keeps.
    const text = `This is ${name} at ${proxy.url}.`;
    await from.locator("#text").fill(text);
    await from.locator("button").click();
    await heard(to, text);
  }

  // What it is to a page: the same calls, the same events.
  const done = await page.evaluate(inThePage);
  assert.deepEqual(done, { transport: "sse", texts: ["", "ζ\r\n水"], blob: "ab", closed: [4000, "a reason", true] });
  // One that goes away ends its connection.
  await ada.close();
  await bob.locator("#state", { hasText: "2 here" }).waitFor();
  assert.deepEqual(complaints, []);
});
proxy.close();

async function inThePage() {
  const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
  const socket = new TidegateWebSocket("ws", { binaryType: "blob" });
  await event(socket, "open");
  const texts = [];
  for (const text of ["", "ζ\r\n水"]) {
    socket.send(text);
    texts.push((await event(socket, "message")).data);
  }
  socket.send(new Blob(["a", "b"]));
  const blob = await (await event(socket, "message")).data.text();
  const closed = event(socket, "close");
  socket.close(4000, "a reason");
  const { code, reason, wasClean } = await closed;
  return { transport: socket.transport, texts, blob, closed: [code, reason, wasClean] };
}
