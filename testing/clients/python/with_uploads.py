"""requests, httpx and aiohttp: forms with files and files alone, to a drop box.

The words are where the drop box is, and the directory that its files go to.
"""

import asyncio
import io
import sys
from pathlib import Path

import aiohttp
import httpx
import requests

sys.path.insert(0, str(Path(__file__).parent))
from site_content import content, pieces

BASE, DIRECTORY = sys.argv[1], Path(sys.argv[2])
LARGE = content(3_000_000)


def check(status, told, names):
    """What was told must be there, under a name of its own even where one was taken."""
    assert status == 201, (status, told)
    assert [Path(file["name"]).suffix for file in told["files"]] == [Path(name).suffix for name in names], told
    for file, sent in zip(told["files"], names.values()):
        assert file["size"] == len(sent), file
        assert (DIRECTORY / file["name"]).read_bytes() == sent, file


FILES = {"a b.txt": b"one", "größe 写真.bin": LARGE, "empty.dat": b"", 'quo"te.txt': b"\r\n--"}


def with_requests():
    with requests.Session() as session:
        session.trust_env = False
        files = [("f", (name, io.BytesIO(sent), "x/y")) for name, sent in FILES.items()]
        response = session.post(BASE + "/drop/", data={"note": "ä"}, files=files, timeout=20)
        check(response.status_code, response.json(), FILES)
        response = session.put(BASE + "/drop/requests.bin", data=pieces(LARGE), timeout=20)
        check(response.status_code, response.json(), {"requests.bin": LARGE})
        response = session.put(BASE + "/drop/requests.bin", data=LARGE, timeout=20)
        assert response.status_code == 409, response


def with_httpx(http2):
    version = dict(http1=not http2, http2=http2)
    with httpx.Client(base_url=BASE, timeout=20, trust_env=False, **version) as client:
        files = [("f", (name, io.BytesIO(sent))) for name, sent in FILES.items()]
        response = client.post("/drop/", data={"note": ["ä", "b"]}, files=files)
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        check(response.status_code, response.json(), FILES)
        name = f"httpx {http2}.bin"
        response = client.put(f"/drop/{name}", content=LARGE)
        check(response.status_code, response.json(), {name: LARGE})
        assert response.headers["Location"] == f"/drop/httpx%20{http2}.bin"


async def with_aiohttp():
    async def send(session, number):
        form = aiohttp.FormData({"note": str(number)})
        for name, sent in FILES.items():
            form.add_field("f", io.BytesIO(sent), filename=name, content_type="x/y")
        async with session.post("/drop/", data=form, expect100=number % 2 == 0) as response:
            check(response.status, await response.json(), FILES)

    async def stream(session, name):
        async def arriving():
            for piece in pieces(LARGE):
                yield piece

        async with session.put(f"/drop/{name}", data=arriving()) as response:
            check(response.status, await response.json(), {name: LARGE})

    limit = aiohttp.ClientTimeout(total=40)
    async with aiohttp.ClientSession(BASE, timeout=limit) as session:
        await asyncio.gather(*(send(session, number) for number in range(6)))
        await asyncio.gather(*(stream(session, f"aiohttp-{number}") for number in range(4)))


with_requests()
with_httpx(False)
with_httpx(True)
asyncio.run(with_aiohttp())
left = [path.name for path in DIRECTORY.iterdir() if path.suffix == ".part"]
assert not left, left
