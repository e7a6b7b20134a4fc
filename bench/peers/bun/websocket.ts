// The benchmarks' WebSocket routes on Bun, whose WebSockets are uWebSockets:
// `bun websocket.ts PORT [deflate]`. One JavaScript thread.
const port = Number(process.argv[2]);
const deflate = process.argv[3] === "deflate";

Bun.serve<string>({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    const path = request.url.slice(request.url.indexOf("/", 8));
    if (server.upgrade(request, { data: path })) return;
    return new Response(null, { status: 404 });
  },
  websocket: {
    perMessageDeflate: deflate,
    // The longest there is. Bun sends pings by itself.
    idleTimeout: 960,
    backpressureLimit: 64 * 1024 * 1024,
    open(socket) {
      if (socket.data === "/broadcast") socket.subscribe("all");
    },
    message(socket, message) {
      // `publish` leaves out the one who calls it.
      if (socket.data === "/broadcast") socket.publish("all", message, deflate);
      else socket.send(message, deflate);
    },
  },
});
