"""requests: a session, streamed uploads and downloads."""

import sys
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).parent))
from site_content import FILE_BYTES, HELLO, STREAM_BYTES, content, pieces

BASE = sys.argv[1]

with requests.Session() as session:
    session.trust_env = False
    for _ in range(20):
        response = session.get(BASE + "/hello", timeout=20)
        assert (response.status_code, response.content) == (200, HELLO)
        assert response.headers["Content-Type"].startswith("text/plain")

    data = content(2_000_000)
    # A generator has no length, so it goes in chunks.
    response = session.post(BASE + "/echo", data=pieces(data), timeout=20)
    assert response.content == data

    with session.get(BASE + "/file", stream=True, timeout=20) as response:
        assert sum(map(len, response.iter_content(10_000))) == FILE_BYTES
    assert len(session.get(BASE + "/stream", timeout=20).content) == STREAM_BYTES

    response = session.post(BASE + "/echo", json={"ä": [1, 2, None]}, timeout=20)
    assert response.json() == {"ä": [1, 2, None]}
    assert response.headers["Content-Type"] == "application/json"
    assert session.head(BASE + "/bytes/77", timeout=20).headers["Content-Length"] == "77"
    assert session.get(BASE + "/status/418", timeout=20).status_code == 418
