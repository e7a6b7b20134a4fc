// eventsource: what browsers have, for Node.js: comes back by itself with the id of the last event.

import assert from "node:assert/strict";
import { EventSource } from "eventsource";

const base = process.argv[2];

/** Listens until `each` says that it has heard enough. */
function listen(path, name, each) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`${base}${path}`);
    const end = (settle, value) => {
      source.close();
      settle(value);
    };
    let opened = 0;
    source.addEventListener("open", () => (opened += 1));
    source.addEventListener(name, (event) => each(event) && end(resolve, opened));
    source.addEventListener("error", (event) => source.readyState === EventSource.CLOSED && end(reject, event));
  });
}

/** The server ends the stream after each part; nothing is missed and nothing comes twice. */
async function goesOn() {
  const seen = [];
  const opened = await listen("/events?count=100&part=25", "message", ({ data, lastEventId }) => {
    assert.equal(data, lastEventId);
    seen.push(Number(data));
    return seen.length === 100;
  });
  assert.deepEqual(seen, Array.from({ length: 100 }, (_, index) => index + 1));
  assert.equal(opened, 4);
}

/** When there is no more, the server says so, and the client stays away. */
async function ends() {
  let count = 0;
  const ended = await listen("/events?count=5", "message", () => ((count += 1), false)).catch((event) => event);
  assert.deepEqual([count, ended.code], [5, 204]);
}

async function ticks() {
  const times = [];
  await listen("/events", "tick", ({ data }) => times.push(JSON.parse(data).time) === 2);
  assert.ok(times[1] > times[0]);
}

await goesOn();
await ends();
await Promise.all(Array.from({ length: 30 }, ticks));
