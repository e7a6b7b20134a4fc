"""h2, driven by hand: windows, resets, trailers, priorities, heads in many frames, WebSocket (RFC 8441)."""

import os
import sys
from pathlib import Path

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

sys.path.insert(0, str(Path(__file__).parent))
from http2_client import Client
from site_content import HELLO, content, pieces

BASE = sys.argv[1]
TEXT = "Gezeitentor: ζ 水 🌊. " * 500
UPLOAD = [("content-type", "application/x-test")]


def settings_and_pings():
    with Client(BASE) as client:
        told = client.h2.remote_settings
        assert told.enable_connect_protocol == 1
        assert told.max_concurrent_streams == 100
        for number in range(10):
            client.h2.ping(bytes([number] * 8))
        client.flush()
        client.wait(lambda: len(client.pongs) == 10)
        assert client.pongs == [bytes([number] * 8) for number in range(10)]
        client.wait(lambda: client.acknowledged == 1)
        assert client.get("/hello") == (200, HELLO)


def uploads_with_trailers():
    with Client(BASE) as client:
        data = content(300_000)
        stream = client.ask("/echo", "POST", UPLOAD, ended=False)
        for piece in pieces(data):
            client.send(stream, piece)
        client.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
        client.flush()
        assert client.answer(stream) == (200, data)
        assert client.heads[stream]["content-type"] == "application/x-test"
        # Frames that are padded to their greatest length.
        stream = client.ask("/echo", "POST", UPLOAD, ended=False)
        for piece in pieces(data[:100_000], 100):
            client.send(stream, piece, padding=255)
        client.send(stream, b"", ended=True)
        assert client.answer(stream) == (200, data[:100_000])


def a_post_has_a_length():
    with Client(BASE) as client:
        status, page = client.answer(client.ask("/echo", "POST"))
        assert status == 411 and b"Length Required" in page, (status, page)
        assert client.answer(client.ask("/echo", "POST", [("content-length", "0")]))[0] == 200
        assert client.get("/hello") == (200, HELLO)


def resets():
    with Client(BASE) as client:
        for _ in range(30):
            stream = client.ask("/bytes/100000000")
            client.wait(lambda: client.content[stream])
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            client.flush()
            stream = client.ask("/echo", "POST", UPLOAD, ended=False)
            client.send(stream, content(30_000))
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            client.flush()
            waiting = client.ask("/delay/10000")
            client.h2.reset_stream(waiting, ErrorCodes.CANCEL)
            client.flush()
        assert client.get("/hello") == (200, HELLO)
        # Nothing more comes of a stream that has been reset.
        before = len(client.arrivals)
        assert client.get("/hello") == (200, HELLO)
        assert len(client.arrivals) <= before + 2


def what_comes_late_for_a_stream_is_passed_over():
    with Client(BASE) as client:
        stream = client.ask("/hello")
        assert client.answer(stream) == (200, HELLO)
        update = bytes([0, 0, 4, 8, 0]) + stream.to_bytes(4, "big") + (1000).to_bytes(4, "big")
        client.socket.sendall(update * 5)
        assert client.get("/hello") == (200, HELLO)


def windows():
    small = {SettingCodes.INITIAL_WINDOW_SIZE: 1_000}
    with Client(BASE, small, gives_room=False) as client:
        stream = client.ask("/bytes/200000")

        def holds_still_at(count):
            client.wait(lambda: len(client.content[stream]) >= count)
            # Whatever had been sent before the answer to this has come.
            pongs = len(client.pongs)
            client.h2.ping(b"anything")
            client.flush()
            client.wait(lambda: len(client.pongs) > pongs)
            assert len(client.content[stream]) == count, len(client.content[stream])

        holds_still_at(1_000)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 5_000})
        client.flush()
        holds_still_at(5_000)
        # Less than nothing is left of it now; what is given back first pays for that.
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2_000})
        client.flush()
        client.wait(lambda: client.acknowledged == 3)
        client.h2.increment_flow_control_window(3_000, stream)
        client.flush()
        holds_still_at(5_000)
        client.h2.increment_flow_control_window(1, stream)
        client.flush()
        holds_still_at(5_001)
        client.h2.increment_flow_control_window(1_000_000, stream)
        client.flush()
        # Now the connection's own window bounds it.
        holds_still_at(65_535)
        client.h2.increment_flow_control_window(1_000_000)
        client.flush()
        status, data = client.answer(stream)
        assert (status, len(data)) == (200, 200_000)
        assert client.get("/hello") == (200, HELLO)


def urgent_answers_come_first():
    """RFC 9218: what is urgent is sent before what is not, whatever was asked for first."""
    closed = {SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with Client(BASE, closed) as client:
        client.h2.increment_flow_control_window(10_000_000)
        later = client.ask("/bytes/2000000", fields=[("priority", "u=6")])
        urgent = client.ask("/bytes/2000000", fields=[("priority", "u=1")])
        client.wait(lambda: later in client.heads and urgent in client.heads)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 4_000_000})
        client.flush()
        for stream in (urgent, later):
            status, data = client.answer(stream)
            assert (status, len(data)) == (200, 2_000_000)
        last_urgent = max(at for at, (stream, _) in enumerate(client.arrivals) if stream == urgent)
        before = sum(count for stream, count in client.arrivals[:last_urgent] if stream == later)
        # Its source has some of it ready each time; when it has not, the other may go on.
        assert before < 1_000_000, before


def heads_in_many_frames():
    with Client(BASE) as client:
        for size in (1, 7, 1_000):
            stream = client.h2.get_next_available_stream_id()
            fields = [(f"x-{number}", os.urandom(100).hex()) for number in range(40)]
            client.h2.send_headers(stream, client.head("/inspect", fields=fields), end_stream=True)
            client.socket.sendall(in_pieces(client.h2.data_to_send(), size))
            status, seen = client.answer(stream)
            assert status == 200
            assert all(value.encode() in seen for _, value in fields)


def in_pieces(frame, size):
    """A HEADERS frame as one and CONTINUATION frames of a size."""
    length, kind, flags = int.from_bytes(frame[:3], "big"), frame[3], frame[4]
    assert kind == 1 and len(frame) == 9 + length
    block = [frame[begin : begin + size] for begin in range(9, len(frame), size)]
    # No more of them than servers put up with.
    if len(block) > 5:
        block = block[:5] + [b"".join(block[5:])]
    told = b""
    for index, piece in enumerate(block):
        last = 4 if index + 1 == len(block) else 0
        kind, own_flags = (1, flags & ~4 | last) if index == 0 else (9, last)
        told += len(piece).to_bytes(3, "big") + bytes([kind, own_flags]) + frame[5:9] + piece
    return told


class WebSocket:
    """One WebSocket on a stream of a connection."""

    def __init__(self, client, deflate=False):
        extensions = [PerMessageDeflate()] if deflate else []
        fields = [("sec-websocket-version", "13"), ("origin", BASE)]
        if deflate:
            fields.append(("sec-websocket-extensions", f"permessage-deflate; {extensions[0].offer()}"))
        head = client.head("/ws", "CONNECT", fields)
        head.insert(1, (":protocol", "websocket"))
        self.client = client
        self.stream = client.send_head(head, ended=False)
        client.wait(lambda: self.stream in client.heads)
        answer = client.heads[self.stream]
        assert answer[":status"] == "200", answer
        assert "sec-websocket-accept" not in answer, answer
        if deflate:
            agreed = answer["sec-websocket-extensions"]
            extensions[0].finalize(agreed)
        self.frames = Connection(ConnectionType.CLIENT, extensions)

    def send(self, event):
        self.client.send(self.stream, self.frames.send(event))

    def receive(self):
        """The next whole message, or another event."""
        parts = []
        while True:
            for event in self.frames.events():
                if not isinstance(event, (TextMessage, BytesMessage)):
                    return event
                parts.append(event.data)
                if event.message_finished:
                    joined = type(parts[0])().join(parts)
                    return type(event)(data=joined)
            content = self.client.content
            self.client.wait(lambda: content[self.stream])
            self.frames.receive_data(content.pop(self.stream))

    def echoes(self, event):
        self.send(event)
        answer = self.receive()
        assert answer == event, (str(answer)[:100], str(event)[:100])

    def close(self, code):
        self.send(CloseConnection(code=code, reason="bye"))
        answer = self.receive()
        assert isinstance(answer, CloseConnection) and answer.code == code, answer
        self.client.h2.end_stream(self.stream)
        self.client.flush()
        self.client.wait(lambda: self.stream in self.client.ended or self.stream in self.client.resets)


def websockets_on_streams():
    with Client(BASE) as client:
        for deflate in (False, True):
            socket = WebSocket(client, deflate)
            for message in ("", "x", TEXT, TEXT * 50):
                socket.echoes(TextMessage(message))
            for size in (0, 1, 125, 126, 65_535, 65_536, 1 << 20):
                socket.echoes(BytesMessage(content(size)))
            socket.send(Ping(b"there?"))
            answer = socket.receive()
            assert isinstance(answer, Pong) and answer.payload == b"there?", answer
            # In fragments.
            socket.send(TextMessage("one ", message_finished=False))
            socket.send(TextMessage("two", message_finished=True))
            assert socket.receive() == TextMessage("one two")
            socket.close(4000)
        assert client.get("/hello") == (200, HELLO)


def websockets_beside_requests():
    with Client(BASE) as client:
        sockets = [WebSocket(client, number % 2 == 0) for number in range(30)]
        for count in range(10):
            asked = [client.ask("/bytes/1000") for _ in range(5)]
            for number, socket in enumerate(sockets):
                socket.send(TextMessage(f"{number} {count} " * count))
            for number, socket in enumerate(sockets):
                assert socket.receive() == TextMessage(f"{number} {count} " * count)
            for stream in asked:
                assert client.answer(stream)[0] == 200
        for socket in sockets[:10]:
            socket.close(1000)
        for socket in sockets[10:20]:
            # Gone, as a page that is left: the others go on.
            client.h2.reset_stream(socket.stream, ErrorCodes.CANCEL)
        client.flush()
        for socket in sockets[20:]:
            socket.echoes(TextMessage("still there"))
            socket.close(int(CloseReason.GOING_AWAY))
        assert client.get("/hello") == (200, HELLO)


def what_is_wrong_in_one_websocket_is_its_own_matter():
    with Client(BASE) as client:
        good, bad = WebSocket(client), WebSocket(client)
        # A text that is no UTF-8, masked with zeros.
        client.send(bad.stream, bytes([0x81, 0x82, 0, 0, 0, 0, 0xFF, 0xFE]))
        answer = bad.receive()
        assert isinstance(answer, CloseConnection) and answer.code == 1007, answer
        good.echoes(TextMessage("all right"))
        head = client.head("/hello", "CONNECT", [("sec-websocket-version", "13")])
        head.insert(1, (":protocol", "websocket"))
        # Nobody speaks it there.
        stream = client.send_head(head, ended=False)
        assert client.answer(stream)[0] == 501, client.heads[stream]
        good.echoes(TextMessage("still all right"))
        good.close(1000)


def a_mistake_of_the_whole_connection_ends_it():
    with Client(BASE) as client:
        # A PING of seven bytes.
        client.socket.sendall(bytes([0, 0, 7, 6, 0, 0, 0, 0, 0]) + b"seven b")
        client.wait(lambda: client.goodbye)
        assert client.goodbye.error_code == ErrorCodes.FRAME_SIZE_ERROR, client.goodbye


settings_and_pings()
uploads_with_trailers()
a_post_has_a_length()
resets()
what_comes_late_for_a_stream_is_passed_over()
windows()
urgent_answers_come_first()
heads_in_many_frames()
websockets_on_streams()
websockets_beside_requests()
what_is_wrong_in_one_websocket_is_its_own_matter()
a_mistake_of_the_whole_connection_ends_it()
