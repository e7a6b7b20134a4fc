// Chromium in the chat: several pages speak with each other, one of them comes late.

import assert from "node:assert/strict";
import { inChromium } from "./chromium.mjs";

const base = process.argv[2];

await inChromium(async (context) => {
  const complaints = [];

  async function open(path) {
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(`${error}`));
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(`${base}${path}`);
    return page;
  }

  async function say(page, text) {
    await page.locator("#text").fill(text);
    await page.locator("button").click();
  }

  const here = (page, count) => page.locator("#state", { hasText: `${count} here` }).waitFor();
  const heard = (page, text) => page.locator("#said li").filter({ hasText: text }).waitFor();

  const ada = await open("/chat");
  const bob = await open("/chat");
  await Promise.all([here(ada, 2), here(bob, 2)]);
  await ada.locator("#name").fill("Ada");
  await say(ada, "Hello <b>there</b>, \"Bob\" \\ ⚓");
  await heard(bob, "Hello <b>there</b>, \"Bob\" \\ ⚓");
  await bob.locator("#name").fill("Bob");
  for (let number = 0; number < 20; number += 1) await say(bob, `line ${number}.`);
  await heard(ada, "line 19.");
  const lines = await ada.locator("#said li p").allTextContents();
  assert.deepEqual(lines.slice(1), Array.from({ length: 20 }, (_, number) => `line ${number}.`));
  await say(ada, "   ");
  await ada.locator("#fault", { hasText: "refused" }).waitFor();

  // Who comes late sees what was said, and is seen.
  const eve = await open("/chat");
  await heard(eve, "line 19.");
  assert.deepEqual(await eve.locator("#said li p").allTextContents(), lines);
  await here(ada, 3);
  await eve.close();
  await here(ada, 2);

  // The demonstration page shows it live.
  const page = await open("/");
  await page.locator("#live-last", { hasText: "Bob: line 19." }).waitFor();
  await page.locator("#live-people", { hasText: "3" }).waitFor();
  await page.locator("#live-connections", { hasText: "4" }).waitFor();
  assert.deepEqual(complaints, []);
});
