"""What the scripts send and what the demonstration site answers."""

import random

HELLO = b"Hello, World!"
FILE_BYTES = 2 * 1024 * 1024
STREAM_BYTES = 900


def content(count: int) -> bytes:
    """Bytes that are the same in each run."""
    return random.Random(count).randbytes(count)


def pieces(data: bytes, size: int = 10_000):
    """The bytes in pieces of a size that divides nothing evenly."""
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]
