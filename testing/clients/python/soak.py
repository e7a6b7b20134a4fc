"""Very many connections over TLS and HTTP/2, each used in a random way and a good part of them broken off."""

import random
import socket
import ssl
import struct
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from h2.errors import ErrorCodes

sys.path.insert(0, str(Path(__file__).parent))
from http2_client import Client
from site_content import HELLO, content

BASE, CLEARTEXT, AMOUNT, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
CLIENTS = 8
CONTENT = content(100_000)
REQUEST = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
# "x" as a text, masked with zeros.
MESSAGE = bytes([0x81, 0x81, 0, 0, 0, 0]) + b"x"


def asked(client, chance):
    path = chance.choice(["/hello", "/bytes/20000", "/stream", "/inspect", "/delay/1", "/block/1"])
    status, data = client.get(path)
    assert status == 200 and (path != "/hello" or data == HELLO), (path, status)


def uploaded(client, chance):
    data = CONTENT[: chance.randrange(len(CONTENT))]
    stream = client.ask("/echo", "POST", ended=False)
    client.send(stream, data, ended=True)
    assert client.answer(stream) == (200, data)


def reset(client, chance):
    path = chance.choice(["/bytes/5000000", "/delay/30", "/block/3", "/stream?pause=5", "/file"])
    stream = client.ask(path)
    if path in ("/file", "/bytes/5000000") and chance.random() < 0.5:
        client.wait(lambda: client.content[stream])
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    client.flush()


def reset_in_the_upload(client, chance):
    stream = client.ask("/echo", "POST", ended=False)
    client.h2.send_data(stream, CONTENT[: chance.randrange(1, 10_000)])
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    client.flush()


def left(client, chance):
    """In the middle of its answer, or its request."""
    client.ask(chance.choice(["/bytes/5000000", "/file", "/delay/20"]))
    client.ask("/echo", "POST", ended=False)


def websocket(client, chance):
    head = client.head("/ws", "CONNECT", [("sec-websocket-version", "13")])
    head.insert(1, (":protocol", "websocket"))
    stream = client.send_head(head, ended=False)
    client.send(stream, MESSAGE)
    client.wait(lambda: len(client.content[stream]) >= 3)
    assert client.content[stream] == b"\x81\x01x", client.content[stream]
    if chance.random() < 0.5:
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        client.flush()


def on_streams(chance):
    with Client(chance.choice([BASE, CLEARTEXT])) as client:
        acts = [asked, asked, uploaded, reset, reset_in_the_upload, websocket]
        for _ in range(chance.randrange(1, 8)):
            # Room that is given to a stream which was reset is not asked for here.
            chance.choice(acts)(client, chance)
        if chance.random() < 0.4:
            left(client, chance)
        abandon(client.socket, chance)


def over_tls(chance):
    with connected() as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname="localhost") as secured:
            for _ in range(chance.randrange(4)):
                secured.sendall(REQUEST)
                assert secured.recv(65536).startswith(b"HTTP/1.1 200 ")
            secured.sendall(chance.choice([REQUEST, REQUEST[:20], b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n"]))
            abandon(secured, chance)


def handshake_broken_off(chance):
    with connected() as plain:
        hello = ssl.MemoryBIO()
        session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        first = hello.read()
        plain.sendall(chance.choice([REQUEST, first, first[: chance.randrange(len(first))], bytes(300)]))
        abandon(plain, chance)


def connected():
    url = urlsplit(BASE)
    return socket.create_connection((url.hostname, url.port), 20)


def abandon(connection, chance):
    """Closed with a reset, or without."""
    if chance.random() < 0.5:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def visit(number):
    chance = random.Random(SEED * 1_000 + number)
    try:
        for _ in range(AMOUNT // CLIENTS):
            chance.choice([on_streams, on_streams, over_tls, handshake_broken_off])(chance)
    except BaseException as error:
        failures.append(error)
        raise


failures = []
clients = [threading.Thread(target=visit, args=(number,)) for number in range(CLIENTS)]
for one in clients:
    one.start()
for one in clients:
    one.join()
sys.exit(1 if failures else 0)
