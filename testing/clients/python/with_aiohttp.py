"""aiohttp: hundreds of requests at once, uploads and downloads that go on at the same time, time-outs."""

import asyncio
import io
import sys
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent))
from site_content import FILE_BYTES, HELLO, STREAM_BYTES, content, pieces

BASE = sys.argv[1]


async def greets(session):
    async def one():
        async with session.get("/hello") as response:
            assert (response.status, await response.read()) == (200, HELLO)

    await asyncio.gather(*(one() for _ in range(500)))


async def uploads(session):
    data = content(2_000_000)

    async def arriving():
        for piece in pieces(data):
            yield piece

    async def one():
        async with session.post("/echo", data=arriving()) as response:
            assert await response.read() == data

    await asyncio.gather(*(one() for _ in range(8)))
    async with session.post("/echo", data=io.BytesIO(data), expect100=True) as response:
        assert await response.read() == data


async def downloads(session):
    async with session.get("/file") as response:
        assert len(await response.read()) == FILE_BYTES
    async with session.get("/stream") as response:
        assert sum([len(piece) async for piece in response.content.iter_any()]) == STREAM_BYTES


async def gives_up(session):
    limit = aiohttp.ClientTimeout(total=0.1)
    try:
        async with session.get("/delay/10000", timeout=limit) as response:
            raise AssertionError(f"an answer after 10 s: {response.status}")
    except asyncio.TimeoutError:
        pass
    await greets(session)


async def main():
    limit = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(BASE, timeout=limit, connector=connector) as session:
        for case in (greets, uploads, downloads, gives_up):
            await case(session)


asyncio.run(main())
