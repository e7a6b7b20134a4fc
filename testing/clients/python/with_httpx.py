"""httpx: blocking and async, streams, many requests at once."""

import asyncio
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent))
from site_content import FILE_BYTES, HELLO, content, pieces

BASE = sys.argv[1]


def blocking():
    with httpx.Client(base_url=BASE, timeout=20, trust_env=False) as client:
        response = client.get("/hello")
        assert (response.status_code, response.content) == (200, HELLO)
        assert response.http_version == "HTTP/1.1"
        data = content(2_000_000)
        assert client.post("/echo", content=data).content == data
        assert client.post("/echo", content=pieces(data)).content == data
        with client.stream("GET", "/file") as response:
            assert sum(map(len, response.iter_raw())) == FILE_BYTES
        with client.stream("GET", "/bytes/50000000") as response:
            # Left in the middle: the client closes the connection.
            assert len(next(response.iter_raw(100))) == 100
        assert client.get("/hello").content == HELLO


async def at_once():
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=BASE, timeout=20, trust_env=False, limits=limits) as client:
        waits = [client.get("/delay/100") for _ in range(50)]
        greets = [client.get("/hello") for _ in range(200)]
        for response in await asyncio.gather(*waits, *greets):
            assert response.status_code == 200, response

        async def upload():
            for piece in pieces(content(300_000)):
                yield piece
                await asyncio.sleep(0)

        response = await client.post("/echo", content=upload())
        assert response.content == content(300_000)


blocking()
asyncio.run(at_once())
