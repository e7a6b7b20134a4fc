// A proxy that passes requests on, and answers an upgrade as proxies do that know nothing of it.

import { once } from "node:events";
import http from "node:http";
import https from "node:https";

/** Starts it before the server at `base`. */
export async function withoutUpgrades(base) {
  const target = new URL(base);
  const { request } = target.protocol === "https:" ? https : http;
  let refused = 0;
  const proxy = http.createServer((incoming, answer) => {
    // Fields of one connection are not those of the next.
    const { connection, upgrade, ...headers } = incoming.headers;
    const options = { method: incoming.method, headers: { ...headers, host: target.host } };
    const outgoing = request(new URL(incoming.url, target), options, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      response.pipe(answer);
      response.on("error", () => answer.destroy());
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  proxy.on("upgrade", (_, socket) => {
    refused += 1;
    socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    refused: () => refused,
    close() {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}
