// The benchmarks' routes on Bun: `bun server.ts PORT`. One JavaScript thread; Bun writes `Date` itself.
const port = Number(process.argv[2]);

// The same 1,024 bytes as the other servers' /json.
let json = '{"items":[';
for (let id = 0; json.length < 960; id++) json += `{"id":${id},"name":"item ${id}","ok":true},`;
json += '0],"padding":"';
while (json.length < 1022) json += "x";
json += '"}';

const text = { "content-type": "text/plain", server: "bench" };
const object = { "content-type": "application/json", server: "bench" };

Bun.serve({
  hostname: "127.0.0.1",
  port,
  idleTimeout: 255,
  // Prepared answers: Bun's fastest form, it runs no JavaScript for them.
  routes: {
    "/hello": new Response("Hello, World!", { headers: text }),
    "/json": new Response(json, { headers: object }),
    "/upload": {
      POST: async (request) => {
        await request.arrayBuffer();
        return new Response("ok", { headers: text });
      },
    },
  },
  fetch: () => new Response(null, { status: 404 }),
});
