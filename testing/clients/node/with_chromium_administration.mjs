// Chromium on the administration's page, as a person would use it: signing in and out, charts that move, a
// connection that is disconnected, a server that is started anew.
//
// The words are the program and its flags; the script starts it, in a folder of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { inTurn } from "./cases.mjs";
import { inChromium } from "./chromium.mjs";

const [program, ...flags] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tidegate-administration-"));
const tokenFile = join(folder, "token");

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const [port, administrationPort] = [await freePort(), await freePort()];
const site = `http://127.0.0.1:${port}`;
const administration = `http://localhost:${administrationPort}/tidegate/`;
let running;

/** Starts the program; gives the link that it prints. */
function start() {
  const words = ["serve", ...flags, "--listen", `${site}/`, "--error-log", folder,
    `--administration=${administration}`, "--administration-token-file", tokenFile];
  running = spawn(program, words, { stdio: ["ignore", "inherit", "pipe"] });
  return new Promise((resolve, reject) => {
    let said = "";
    running.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (said.includes("Ctrl-C stops it.")) resolve(/\S+sign-in\?once=\S+/.exec(said)[0]);
    });
    running.once("exit", (status) => reject(new Error(`the program has ended (${status}): ${said}`)));
  });
}

async function stop() {
  const ended = new Promise((resolve) => { running.removeAllListeners("exit").once("exit", resolve); });
  running.kill("SIGINT");
  assert.equal(await ended, 0);
}

let link = await start();
try {
  await inChromium(async (context) => {
    const complaints = [];
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(`${error}`));
    page.on("console", (message) => {
      // A server that is gone is complained of by the browser, and meant here.
      if (/Content Security|Refused to/.test(message.text())) complaints.push(message.text());
    });
    const live = () => page.locator("#link.live").waitFor();
    const tile = (title) => page.locator(".tile", { has: page.locator("h2", { hasText: title }) });
    const picture = (title) => page.locator(".chart", { has: page.locator("h2", { hasText: title }) })
      .locator("canvas").evaluate((canvas) => canvas.toDataURL());

    async function signsIn() {
      await page.goto(administration);
      assert.equal(page.url(), `${administration}sign-in`);
      await page.locator("#token").fill("a".repeat(43));
      await page.locator("button").click();
      await page.locator("#fault", { hasText: "not the token" }).waitFor();
      await page.locator("#token").fill(readFileSync(tokenFile, "utf8").trim());
      await page.locator("button").click();
      await live();
      const [cookie] = await context.cookies(administration);
      assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.path === "/tidegate/", JSON.stringify(cookie));
      assert.equal(await page.evaluate(() => document.cookie), "");
    }

    async function signsOut() {
      await page.locator("#sign-out").click();
      await page.waitForURL(`${administration}sign-in`);
      await page.goto(administration);
      assert.equal(page.url(), `${administration}sign-in`);
    }

    async function signsInByLink() {
      await page.goto(link);
      await page.waitForURL(administration);
      await live();
      // It was good once.
      const other = await context.newPage();
      await other.goto(link);
      await other.locator("#token").waitFor();
      await other.close();
    }

    async function chartsMove() {
      const before = await picture("Requests per second");
      for (let number = 0; number < 50; number += 1) await (await fetch(`${site}/hello`)).text();
      for (let number = 0; number < 5; number += 1) await (await fetch(`${site}/status/500`)).text();
      await tile("Requests").locator("p", { hasText: "55 in all" }).waitFor();
      await tile("Server errors").locator("p", { hasText: "5 in all" }).waitFor();
      await page.waitForFunction(() => /\d+ (µs|ms)/.test(document.querySelector(".tile:nth-child(3) p").textContent));
      assert.notEqual(await picture("Requests per second"), before);
      const label = await page.locator("canvas").first().getAttribute("aria-label");
      assert.match(label, /^Requests per second: all /);
      const row = page.locator("#namespace tr", { hasText: `${site}/` });
      await row.locator(".pill", { hasText: "application" }).waitFor();
      await row.locator("td.number", { hasText: "55" }).waitFor();
    }

    async function disconnectsAWebSocket() {
      const socket = new WebSocket(`${site.replace("http", "ws")}/ws`);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      socket.send("one");
      await page.locator("[data-kind=websocket]").click();
      const row = page.locator("#connections tbody tr", { hasText: "/ws" });
      await row.locator("button", { hasText: "Disconnect" }).click();
      assert.equal(await closed, 1000);
      await page.locator("#connections", { hasText: "No WebSocket connections." }).waitFor();
    }

    async function disconnectsAConnection() {
      const socket = connect(port, "127.0.0.1");
      const closed = new Promise((resolve) => socket.once("close", resolve).on("error", () => {}));
      socket.write("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
      await new Promise((resolve) => socket.once("data", resolve));
      await page.locator("[data-kind=http]").click();
      const row = page.locator("#connections tbody tr", { hasText: `127.0.0.1:${socket.localPort}` });
      await row.locator("button").click();
      await closed;
      await row.waitFor({ state: "detached" });
      await page.locator("#address").fill("198.51.100.");
      await page.locator("#connections", { hasText: "No connections." }).waitFor();
      await page.locator("#address").fill("");
    }

    async function flushesTheCache() {
      for (let number = 0; number < 2; number += 1) await (await fetch(`${site}/cached`)).text();
      const row = page.locator("#cache tbody tr", { hasText: "/cached" });
      await row.locator("button", { hasText: "Flush" }).click();
      await page.locator("#cache", { hasText: "Nothing is cached." }).waitFor();
    }

    async function findsAServerThatWasStartedAnew() {
      await stop();
      await page.locator("#link.lost").waitFor();
      link = await start();
      await live();
      await page.locator("#about", { hasText: `process ${running.pid} ` }).waitFor();
      await (await fetch(`${site}/hello`)).text();
      await tile("Requests").locator("p", { hasText: "1 in all" }).waitFor();
    }

    async function isSeenInLightAndDark() {
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const before = await ground();
      await page.locator("#theme").click();
      assert.notEqual(await ground(), before);
      await page.reload();
      await live();
      assert.notEqual(await ground(), before);
    }

    await inTurn([signsIn, signsOut, signsInByLink, chartsMove, disconnectsAWebSocket, disconnectsAConnection,
      flushesTheCache, findsAServerThatWasStartedAnew, isSeenInLightAndDark]);
    assert.deepEqual(complaints, []);
  });
  await stop();
} finally {
  running.removeAllListeners("exit").kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
