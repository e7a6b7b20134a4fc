"""httpx-sse: server-sent events as they come, blocking and async, and again from where they were."""

import asyncio
import json
import ssl
import sys

import httpx
from httpx_sse import aconnect_sse, connect_sse

BASE = sys.argv[1]
OPTIONS = {"base_url": BASE, "timeout": 20, "trust_env": False, "verify": ssl.create_default_context()}


def count(client, parameters, last=None):
    headers = {"Last-Event-ID": last} if last else {}
    with connect_sse(client, "GET", "/events", params=parameters, headers=headers) as source:
        assert source.response.status_code == 200
        assert source.response.headers["cache-control"] == "no-cache"
        return [(event.id, event.event, event.data, event.retry) for event in source.iter_sse()]


def blocking():
    with httpx.Client(**OPTIONS) as client:
        parameters = {"count": 500, "part": 300}
        first = count(client, parameters)
        rest = count(client, parameters, last="300")
        numbers = [(str(number), "message", str(number), None) for number in range(1, 501)]
        # The first event is what sets the time after which a client comes back.
        assert first[0] == rest[0] == ("", "message", "", 50), first[0]
        assert first[1:] == numbers[:300]
        # This client keeps no id of what it was told before.
        assert rest[1:] == numbers[300:]
        response = client.get("/events", params=parameters, headers={"Last-Event-ID": "500"})
        assert response.status_code == 204


async def at_once():
    async with httpx.AsyncClient(**OPTIONS, http2=True) as client:

        async def ticks():
            async with aconnect_sse(client, "GET", "/events") as source:
                seen = []
                async for event in source.aiter_sse():
                    assert event.event == "tick"
                    seen.append((event.id, json.loads(event.data)["time"]))
                    if len(seen) == 2:
                        return seen

        # All hear the same clock.
        heard = await asyncio.gather(*(ticks() for _ in range(20)))
        assert len({identifier for seen in heard for identifier, _ in seen}) <= 4, heard


blocking()
asyncio.run(at_once())
