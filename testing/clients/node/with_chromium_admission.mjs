// Chromium where a password is asked for: by a page, and by the WebSocket of a page.

import assert from "node:assert/strict";
import { inChromium } from "./chromium.mjs";

const base = process.argv[2];
const httpCredentials = { username: "alice", password: "open sesame" };

await inChromium(async (context) => {
  const refused = await open(context, undefined);
  assert.equal(refused, 401);
});

await inChromium(async (context) => {
  const refused = await open(context, { ...httpCredentials, password: "wrong" });
  assert.equal(refused, 401);
});

await inChromium(async (context) => {
  await context.setHTTPCredentials(httpCredentials);
  const page = await context.newPage();
  const answer = await page.goto(`${base}/hello`);
  assert.equal(answer.status(), 200);
  assert.equal(await page.evaluate(() => document.body.textContent), "Hello, World!");
  // What the page asks for, and its WebSocket, have the password that the page was asked for.
  const fetched = await page.evaluate(async () => (await fetch("/basic")).status);
  assert.equal(fetched, 404);
  const echoed = await page.evaluate(echo, base.replace("http", "ws") + "/ws");
  assert.equal(echoed, "I am in");
});

/** The status that a page is answered with. */
async function open(context, credentials) {
  await context.setHTTPCredentials(credentials ?? null);
  const page = await context.newPage();
  try {
    return (await page.goto(`${base}/hello`)).status();
  } catch (error) {
    // Nobody to ask: the browser shows its own page for a 401 without content.
    assert.match(`${error}`, /ERR_INVALID_AUTH_CREDENTIALS|ERR_HTTP_RESPONSE_CODE_FAILURE/);
    return 401;
  }
}

async function echo(url) {
  return await new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    socket.onmessage = ({ data }) => resolve(data);
    socket.onopen = () => socket.send("I am in");
  });
}
