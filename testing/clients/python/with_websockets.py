"""websockets: blocking and async, every way of compression, fragments, pings, close codes."""

import asyncio
import json
import ssl
import sys
import threading
import uuid
from pathlib import Path

import websockets.asyncio.client as at_once
import websockets.sync.client as blocking
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

sys.path.insert(0, str(Path(__file__).parent))
from site_content import content, pieces

SITE = sys.argv[1].replace("http", "ws", 1)
ECHO = SITE + "/ws"
TEXT = "Gezeitentor: ζ 水 🌊. " * 500
MESSAGE_BYTES_MAX = 64 * 1024 * 1024


def secured():
    """TLS 1.2 for the blocking client, which reads and writes on two threads, for which OpenSSL is not made: of TLS 1.3
    tickets come while the request is being sent, and then it sometimes is not."""
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def connect(url=ECHO, **options):
    if url.startswith("wss:"):
        options["ssl"] = secured()
    return blocking.connect(url, proxy=None, max_size=MESSAGE_BYTES_MAX, **options)


def messages_come_back(connection):
    for message in ("", "x", TEXT, b"", b"\0", content(125), content(126), content(65_535), content(65_536)):
        connection.send(message)
        assert connection.recv(timeout=20) == message
    for message in (content(1 << 20), TEXT * 100):
        connection.send(message)
        assert connection.recv(timeout=20) == message


def fragments_are_one_message(connection):
    data = content(300_000)
    connection.send(pieces(data))
    assert connection.recv(timeout=20) == data
    connection.send(["", TEXT, "", "é"])
    assert connection.recv(timeout=20) == TEXT + "é"


def pings_are_answered_among_messages(connection):
    pongs = []
    for number in range(50):
        pongs.append(connection.ping(f"ping {number}"))
        connection.send(str(number))
    for number in range(50):
        assert connection.recv(timeout=20) == str(number)
    assert all(pong.wait(20) for pong in pongs)
    assert connection.ping(content(125)).wait(20)
    connection.pong("nobody asked")


def many_are_under_way(connection):
    """Sent without waiting for answers, which come in the order they were sent."""
    sent = [content(size * 37) for size in range(400)]
    sender = threading.Thread(target=lambda: [connection.send(message) for message in sent])
    sender.start()
    for message in sent:
        assert connection.recv(timeout=20) == message
    sender.join()


def on_one_connection(**options):
    with connect(**options) as connection:
        offered = options.get("compression", "deflate") or options.get("extensions")
        extensions = [extension.name for extension in connection.protocol.extensions]
        assert extensions == (["permessage-deflate"] if offered else []), extensions
        messages_come_back(connection)
        fragments_are_one_message(connection)
        pings_are_answered_among_messages(connection)
        many_are_under_way(connection)


def every_parameter_of_deflate():
    for alone in (False, True):
        for bits in (None, 9, 12, 15):
            ours = ClientPerMessageDeflateFactory(
                client_no_context_takeover=alone, client_max_window_bits=bits or True)
            theirs = ClientPerMessageDeflateFactory(
                server_no_context_takeover=alone, server_max_window_bits=bits)
            for factory in (ours, theirs):
                with connect(compression=None, extensions=[factory]) as connection:
                    assert connection.protocol.extensions
                    for message in (TEXT, content(100_000) * 2, TEXT):
                        connection.send(message)
                        assert connection.recv(timeout=20) == message


def close_codes_come_back():
    for code, reason in ((1000, ""), (1001, "leaving"), (1011, "ü"), (3000, "x" * 123), (4000, "own"), (4999, "")):
        with connect() as connection:
            connection.close(code, reason)
            answer = connection.protocol.close_rcvd
            assert answer is not None and answer.code == code, (code, answer)
            assert connection.protocol.close_rcvd_then_sent is False


def what_is_too_large_is_refused():
    with connect() as connection:
        # Compressed, it is a bomb of some kilobytes.
        try:
            connection.send(bytes(MESSAGE_BYTES_MAX + 1))
            connection.recv(timeout=20)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1009, closed
        else:
            raise AssertionError("a message over the limit came back")


def what_is_no_websocket_answers_as_before():
    try:
        with connect(SITE + "/hello"):
            raise AssertionError("/hello became a WebSocket")
    except InvalidStatus as error:
        # Behind a proxy that goes on with HTTP/2, there is no GET to be answered.
        assert error.response.status_code in (200, 501), error


async def many_connections_at_once():
    async def one(number):
        async with at_once.connect(ECHO, proxy=None, compression="deflate" if number % 2 else None) as connection:
            for count in range(10):
                message = f"{number} {count} " * (count * 20)
                await connection.send(message)
                assert await connection.recv() == message
            await (await connection.ping())

    await asyncio.gather(*(one(number) for number in range(100)))


async def the_chat_tells_all_of_them_the_same():
    async def one(number):
        async with at_once.connect(SITE + "/ws/chat", proxy=None, subprotocols=["tidegate.channels"]) as connection:
            async def ask(method, params):
                request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                await connection.send(json.dumps(request))

            await ask("subscribe", {"channel": "chat"})
            while True:
                answer = json.loads(await connection.recv())
                if isinstance(answer, dict) and answer.get("result") is True:
                    break
            await everybody.wait()
            said = {"name": f"{number}", "text": f"⚓ {number} {own}"}
            await ask("publish", {"channel": "chat", "message": said, "level": 1})
            heard = []
            while len(heard) < 30:
                messages = json.loads(await connection.recv())
                # What was kept from before comes in a batch.
                for message in messages if isinstance(messages, list) else [messages]:
                    assert "error" not in message, message
                    if message.get("method") == "message" and own in message["params"]["message"]["text"]:
                        heard.append((message["params"]["id"], message["params"]["message"]["text"]))
            return heard

    own = uuid.uuid4().hex
    everybody = asyncio.Barrier(30)
    heard = await asyncio.gather(*(one(number) for number in range(30)))
    assert all(one == heard[0] for one in heard), heard
    assert sorted(heard[0]) == heard[0] and len({text for _, text in heard[0]}) == 30, heard[0]


async def reading_stops_for_a_while():
    """Far more than the sockets hold waits for a client that does not read."""
    data = content(1 << 20)
    async with at_once.connect(ECHO, proxy=None, compression=None, max_size=None, max_queue=1) as connection:
        async def send():
            for _ in range(24):
                await connection.send(data)

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.5)
        for _ in range(24):
            assert await asyncio.wait_for(connection.recv(), 20) == data
        await sending


on_one_connection()
on_one_connection(compression=None)
every_parameter_of_deflate()
close_codes_come_back()
what_is_too_large_is_refused()
what_is_no_websocket_answers_as_before()
asyncio.run(many_connections_at_once())
asyncio.run(the_chat_tells_all_of_them_the_same())
asyncio.run(reading_stops_for_a_while())
