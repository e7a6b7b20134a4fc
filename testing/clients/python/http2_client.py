"""A client of HTTP/2 that is driven by hand: the package h2 says what is to be sent and what has come."""

import socket
import ssl
from collections import defaultdict
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
)
from h2.settings import Settings

WAIT_MAX = 20


class Client:
    """One connection. Room for more is given as content comes, unless `gives_room` is false."""

    def __init__(self, base, settings=None, gives_room=True):
        url = urlsplit(base)
        self.scheme, self.authority = url.scheme, url.netloc
        self.socket = socket.create_connection((url.hostname, url.port), WAIT_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            context = ssl.create_default_context()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=url.hostname)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.gives_room = gives_room
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.heads = {}
        self.content = defaultdict(bytes)
        # In the order of arrival: whose content, and how much.
        self.arrivals = []
        self.ended = set()
        self.resets = {}
        self.pongs = []
        self.settings_seen = False
        self.acknowledged = 0
        self.goodbye = None
        if settings:
            self.h2.local_settings = Settings(initial_values=settings)
        self.h2.initiate_connection()
        self.flush()
        self.wait(lambda: self.settings_seen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def head(self, path, method="GET", fields=()):
        return [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", self.authority),
            (":path", path),
            *fields,
        ]

    def send_head(self, head, ended=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, head, end_stream=ended)
        self.flush()
        return stream

    def ask(self, path, method="GET", fields=(), ended=True):
        return self.send_head(self.head(path, method, fields), ended)

    def send(self, stream, data, ended=False, padding=None):
        """Sends content as there is room for it, and reads meanwhile."""
        view = memoryview(data)
        # With its length, which is a byte.
        padded = 0 if padding is None else 1 + padding
        while view:
            self.wait(lambda: self.h2.local_flow_control_window(stream) > padded or stream in self.resets)
            if stream in self.resets:
                return
            window = self.h2.local_flow_control_window(stream)
            room = min(min(window, self.h2.max_outbound_frame_size) - padded, len(view))
            self.h2.send_data(stream, bytes(view[:room]), pad_length=padding)
            self.flush()
            view = view[room:]
        if ended:
            self.h2.end_stream(stream)
            self.flush()

    def wait(self, holds):
        """Reads until it holds."""
        while not holds():
            data = self.socket.recv(65536)
            assert data, "the connection has ended"
            for event in self.h2.receive_data(data):
                self.take(event)
            self.flush()

    def take(self, event):
        if isinstance(event, ResponseReceived):
            self.heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, DataReceived):
            self.content[event.stream_id] += event.data
            self.arrivals.append((event.stream_id, len(event.data)))
            if self.gives_room and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, RemoteSettingsChanged):
            self.settings_seen = True
        elif isinstance(event, SettingsAcknowledged):
            self.acknowledged += 1
        elif isinstance(event, ConnectionTerminated):
            self.goodbye = event

    def answer(self, stream):
        """The status and the content of an answer, when it is whole."""
        self.wait(lambda: stream in self.ended or stream in self.resets)
        assert stream in self.ended, self.resets
        return int(self.heads[stream][":status"]), self.content.pop(stream, b"")

    def get(self, path):
        return self.answer(self.ask(path))
