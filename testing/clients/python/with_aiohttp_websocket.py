"""aiohttp's WebSocket client: text, binary, compression, frames of our own, close codes."""

import asyncio
import sys
from pathlib import Path

import aiohttp
from aiohttp import WSMsgType

sys.path.insert(0, str(Path(__file__).parent))
from site_content import content

BASE = sys.argv[1]
TEXT = "Gezeitentor: ζ 水 🌊. " * 500


async def messages_come_back(session, compress):
    async with session.ws_connect("/ws", compress=compress, max_msg_size=0) as connection:
        assert bool(connection.compress) == bool(compress), connection.compress
        for message in ("", "x", TEXT, "{}" * 500_000):
            await connection.send_str(message)
            assert await connection.receive_str(timeout=20) == message
        for message in (b"", b"\xff", content(65_536), content(1 << 20)):
            await connection.send_bytes(message)
            assert await connection.receive_bytes(timeout=20) == message


async def pings_are_answered(session):
    async with session.ws_connect("/ws", autoping=False) as connection:
        await connection.ping(b"payload")
        answer = await connection.receive(timeout=20)
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"payload"), answer
        # Between them, messages go on.
        await connection.send_str("after")
        assert await connection.receive_str(timeout=20) == "after"


async def close_codes_come_back(session):
    for code in (1000, 3000, 4000):
        connection = await session.ws_connect("/ws")
        assert await connection.close(code=code, message=b"reason")
        assert connection.close_code == code, connection.close_code


async def what_is_no_text_is_refused(session):
    async with session.ws_connect("/ws") as connection:
        await connection.send_frame(b"\xff\xfe", WSMsgType.TEXT)
        answer = await connection.receive(timeout=20)
        assert (answer.type, answer.data) == (WSMsgType.CLOSE, 1007), answer


async def many_connections_at_once(session):
    async def one(number):
        async with session.ws_connect("/ws", compress=15 if number % 2 else 0) as connection:
            for count in range(10):
                await connection.send_json({"number": number, "count": count, "text": TEXT})
                answer = await connection.receive_json(timeout=20)
                assert (answer["number"], answer["count"]) == (number, count)

    await asyncio.gather(*(one(number) for number in range(100)))


async def main():
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(BASE, connector=connector) as session:
        await messages_come_back(session, 0)
        await messages_come_back(session, 15)
        await messages_come_back(session, 9)
        await pings_are_answered(session)
        await close_codes_come_back(session)
        await what_is_no_text_is_refused(session)
        await many_connections_at_once(session)


asyncio.run(main())
