"""httpx-sse: a WebSocket's fallback, its events read and its requests sent by what knows nothing of it."""

import asyncio
import base64
import json
import ssl
import sys

import httpx
from httpx_sse import aconnect_sse, connect_sse

BASE = sys.argv[1]
OPTIONS = {"base_url": BASE, "timeout": 20, "trust_env": False, "verify": ssl.create_default_context()}
PARAMETERS = {"tidegate-transport": "sse"}


def fields(session, number):
    return {"Tidegate-Session": session, "Tidegate-Number": str(number)}


def blocking():
    with httpx.Client(**OPTIONS) as client:
        with connect_sse(client, "GET", "/ws", params=PARAMETERS) as source:
            headers = source.response.headers
            assert source.response.status_code == 200
            assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
            events = source.iter_sse()
            first = next(events)
            assert (first.event, first.retry) == ("open", 3000)
            session = json.loads(first.data)["session"]
            data = bytes(range(256)) * 100
            messages = [{"text": "a\r\nb\u2028\x00"}, {"binary": base64.b64encode(data).decode()}]
            for number in (1, 2, 3):
                response = client.post("/ws", params=PARAMETERS, headers=fields(session, number), json=messages)
                assert response.status_code == 204, response.text
                text, binary = next(events), next(events)
                assert (text.event, json.loads(text.data)) == ("text", "a\r\nb\u2028\x00")
                assert (binary.event, base64.b64decode(binary.data)) == ("binary", data)
            for headers, content, status in (
                (fields(session, 5), b"[]", 409),
                (fields(session, 4), b"[1]", 400),
                (fields(session.upper() + "x", 4), b"[]", 400),
                (fields("0" * 32, 4), b"[]", 404),
                ({}, b"[]", 400),
            ):
                response = client.post("/ws", params=PARAMETERS, headers=headers, content=content)
                assert response.status_code == status, response.text
                assert response.headers["cache-control"] == "no-store"
            close = [{"close": {"code": 4000, "reason": "done"}}]
            client.post("/ws", params=PARAMETERS, headers=fields(session, 4), json=close)
            last = next(events)
            assert (last.event, json.loads(last.data)) == ("close", {"code": 4000, "reason": ""})
            assert next(events, None) is None


async def at_once():
    """Many on one connection of HTTP/2 each with its stream and its requests."""
    async with httpx.AsyncClient(**OPTIONS, http1=not BASE.startswith("http:"), http2=True) as client:

        async def one(name):
            async with aconnect_sse(client, "GET", "/ws", params=PARAMETERS) as source:
                assert source.response.http_version == "HTTP/2", source.response.http_version
                events = source.aiter_sse()
                session = json.loads((await anext(events)).data)["session"]
                for number in range(1, 21):
                    text = f"{name}: {number}"
                    response = await client.post(
                        "/ws", params=PARAMETERS, headers=fields(session, number), json=[{"text": text}]
                    )
                    assert response.status_code == 204, response.text
                    assert json.loads((await anext(events)).data) == text
                await events.aclose()

        await asyncio.gather(*(one(name) for name in range(20)))


blocking()
asyncio.run(at_once())
