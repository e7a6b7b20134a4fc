// The benchmarks' WebSocket routes on Node's `ws`: `node websocket.js PORT MODULES [deflate]`.
// MODULES is the folder that `ws` was installed to.
const { createRequire } = require("node:module");
const { WebSocketServer, WebSocket } = createRequire(`${process.argv[3]}/`)("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 4096,
  // By itself `ws` leaves messages below 1,024 bytes as they are; the others do not.
  perMessageDeflate: process.argv[4] === "deflate" ? { threshold: 0 } : false,
});

server.on("connection", (socket, request) => {
  // An error is a peer that went away: nobody is left to tell.
  socket.on("error", () => {});
  if (request.url === "/broadcast") {
    socket.on("message", (data, binary) => {
      for (const client of server.clients) {
        if (client !== socket && client.readyState === WebSocket.OPEN) client.send(data, { binary });
      }
    });
  } else {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  }
});
