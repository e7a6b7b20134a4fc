"""httpx over HTTP/2: blocking and async, streams, many requests at once on one connection."""

import asyncio
import ssl
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent))
from site_content import FILE_BYTES, HELLO, STREAM_BYTES, content, pieces

BASE = sys.argv[1]
# Without TLS, knowing beforehand takes the place of ALPN.
OPTIONS = {
    "base_url": BASE,
    "http1": BASE.startswith("https"),
    "http2": True,
    "timeout": 20,
    "trust_env": False,
    "verify": ssl.create_default_context(),
}


def blocking():
    with httpx.Client(**OPTIONS) as client:
        response = client.get("/hello")
        assert (response.status_code, response.content) == (200, HELLO)
        assert response.http_version == "HTTP/2", response.http_version
        data = content(2_000_000)
        assert client.post("/echo", content=data).content == data
        assert client.post("/echo", content=pieces(data)).content == data
        with client.stream("GET", "/file") as response:
            assert sum(map(len, response.iter_raw())) == FILE_BYTES
        assert len(client.get("/stream").content) == STREAM_BYTES
        for _ in range(5):
            # Left in the middle. httpx resets no stream, and the connection's window never gets back what
            # it has not read, so there is not to be much of that.
            with client.stream("GET", "/bytes/1000000") as response:
                assert len(next(response.iter_raw(100))) == 100
            assert client.get("/hello").content == HELLO
        assert client.head("/bytes/4321").headers["content-length"] == "4321"
        assert client.get("/status/404").status_code == 404
        seen = client.get("/inspect").json()
        assert seen["version"] == "HTTP/2", seen
        assert (seen["tls"] is None) == BASE.startswith("http:"), seen


async def at_once():
    async with httpx.AsyncClient(**OPTIONS) as client:
        connections = set()

        async def inspect():
            response = await client.get("/inspect")
            connections.add(response.json()["connection_id"])

        await inspect()
        waits = [client.get("/delay/100") for _ in range(90)]
        greets = [client.get("/hello") for _ in range(300)]
        for response in await asyncio.gather(*waits, *greets):
            assert response.status_code == 200, response
        await asyncio.gather(*(inspect() for _ in range(50)))
        assert len(connections) == 1, connections

        async def upload(size):
            async def arriving():
                for piece in pieces(content(size)):
                    yield piece
                    await asyncio.sleep(0)

            response = await client.post("/echo", content=arriving())
            assert response.content == content(size)

        await asyncio.gather(*(upload(100_000 + number) for number in range(20)))
        for _ in range(10):
            try:
                await client.get("/delay/5000", timeout=0.05)
                raise AssertionError("an answer after 5 s")
            except httpx.TimeoutException:
                pass
        assert (await client.get("/hello")).content == HELLO


blocking()
asyncio.run(at_once())
