"""requests and httpx where one has to say who one is: Basic, Digest, a token, an API key."""

import asyncio
import sys

import httpx
import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

BASE, KEY, TOKEN = sys.argv[1:]
RIGHT, WRONG = ("alice", "open sesame"), ("alice", "wrong")

with requests.Session() as session:
    session.trust_env = False
    if BASE.startswith("https:"):
        import os

        session.verify = os.environ["SSL_CERT_FILE"]

    def status(path, **how):
        return session.get(BASE + path, timeout=20, **how).status_code

    assert status("/hello") == 401
    for scheme in (HTTPBasicAuth, HTTPDigestAuth):
        assert status("/hello", auth=scheme(*RIGHT)) == 200, scheme
        assert status("/hello", auth=scheme(*WRONG)) == 401, scheme
    # A nonce is used again, with the next count; content goes along, and a query is part of what is proved.
    digest = HTTPDigestAuth(*RIGHT)
    for number in range(20):
        assert status(f"/hello?number={number}", auth=digest) == 200
    response = session.post(BASE + "/echo", data=b"content", auth=digest, timeout=20)
    assert (response.status_code, response.content) == (200, b"content")
    assert status("/hello", headers={"Authorization": f"Bearer {TOKEN}"}) == 200
    assert status("/inspect") == 401
    assert status("/inspect", headers={"X-API-Key": KEY}) == 200
    assert status("/inspect", headers={"X-API-Key": KEY[:-1]}) == 401


async def at_once(http2):
    digest = httpx.DigestAuth(*RIGHT)
    async with httpx.AsyncClient(base_url=BASE, timeout=20, trust_env=True, http2=http2) as client:
        assert (await client.get("/hello")).status_code == 401
        assert (await client.get("/hello", auth=httpx.DigestAuth(*WRONG))).status_code == 401
        first = await client.get("/hello", auth=digest)
        assert first.status_code == 200
        assert first.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        # Counts may arrive in another order than they were drawn in.
        answers = await asyncio.gather(*[client.get("/hello", auth=digest) for _ in range(50)])
        assert [answer.status_code for answer in answers] == [200] * 50
        assert (await client.get("/inspect", headers={"X-API-Key": KEY})).status_code == 200


asyncio.run(at_once(http2=False))
if BASE.startswith("https:"):
    asyncio.run(at_once(http2=True))
