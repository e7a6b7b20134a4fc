// Node's own http2, when the server is told to stop: what is in progress is answered, nothing new is taken.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { inTurn } from "./cases.mjs";

const [base, server] = process.argv.slice(2);

async function whatIsInProgressIsAnswered() {
  const session = http2.connect(base);
  await once(session, "remoteSettings");
  const goodbye = once(session, "goaway");
  const closed = once(session, "close");

  const delayed = session.request({ ":path": "/delay/1500" });
  const blocked = session.request({ ":path": "/block/1500" });
  const slow = session.request({ ":path": "/stream?pause=200" });
  const echo = session.request({ ":path": "/echo", ":method": "POST" });
  echo.write("first");
  const answered = Promise.all([delayed, blocked, slow, echo].map((stream) => once(stream, "response")));
  const [slowly, echoed] = [slow, echo].map(whole);
  // These two have begun; that is how it is known that the others have arrived.
  await Promise.all([once(slow, "data"), once(echo, "data")]);

  process.kill(Number(server), "SIGINT");
  const [code, lastStream] = await goodbye;
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
  assert.ok(lastStream >= echo.id, `${lastStream}`);

  echo.end("second");
  assert.equal((await echoed).toString(), "firstsecond");
  assert.equal((await slowly).length, 900);
  for (const [head] of await answered) {
    assert.equal(head[":status"], 200);
  }
  assert.equal(await text(delayed), "answered after 1500 ms\n");
  assert.equal(await text(blocked), "blocked a thread for 1500 ms\n");
  await closed;
}

/** All of a stream's content, from before anybody waits for it: what flows to nobody is lost. */
async function whole(stream) {
  const pieces = [];
  stream.on("data", (piece) => pieces.push(piece));
  await once(stream, "end");
  return Buffer.concat(pieces);
}

async function nobodyIsServedAnyMore() {
  await assert.rejects(once(http2.connect(base), "connect"));
}

await inTurn([whatIsInProgressIsAnswered, nobodyIsServedAnyMore]);
