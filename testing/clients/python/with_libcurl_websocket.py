"""libcurl's own WebSocket client, as curl_cffi brings it: text, binary, pings, close codes."""

import sys
from pathlib import Path

from curl_cffi import CurlWsFlag
from curl_cffi.requests import Session

sys.path.insert(0, str(Path(__file__).parent))
from site_content import content

OWN_CLOSE = (4000).to_bytes(2, "big") + b"own"
URL = sys.argv[1].replace("http", "ws", 1) + "/ws"

with Session(trust_env=False) as session:
    connection = session.ws_connect(URL)
    for message in (b"x", "ζ 水 🌊".encode() * 1000, b"a" * 300_000):
        connection.send(message, CurlWsFlag.TEXT)
        answer, flags = connection.recv()
        assert answer == message and flags & CurlWsFlag.TEXT, (len(answer), flags)
    for message in (b"\0", content(65_536), content(1 << 20)):
        connection.send(message, CurlWsFlag.BINARY)
        answer, flags = connection.recv()
        assert answer == message and flags & CurlWsFlag.BINARY, (len(answer), flags)
    connection.ping(b"are you there")
    for number in range(100):
        connection.send(str(number).encode(), CurlWsFlag.TEXT)
    for number in range(100):
        answer, _ = connection.recv()
        assert answer == str(number).encode(), answer
    connection.send(OWN_CLOSE, CurlWsFlag.CLOSE)
    connection.autoclose = False
    _, flags = connection.recv()
    assert flags & CurlWsFlag.CLOSE and connection.close_code == 4000, (flags, connection.close_code)
    connection.terminate()
