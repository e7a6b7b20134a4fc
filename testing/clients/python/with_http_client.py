"""The standard library's http.client: keep-alive, chunks sent and received, half-read answers."""

import http.client
import json
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from site_content import FILE_BYTES, HELLO, STREAM_BYTES, content, pieces

BASE = sys.argv[1]
HOST = BASE.removeprefix("http://")


def one_connection_serves_many_requests(connection):
    connection.connect()
    own_port = connection.sock.getsockname()[1]
    for _ in range(50):
        connection.request("GET", "/hello")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, HELLO)
        assert not response.will_close
    assert connection.sock.getsockname()[1] == own_port


def a_body_comes_back(connection):
    for body in (b"", b"x", content(100_000), content(3_000_000)):
        connection.request("POST", "/echo", body, {"Content-Type": "application/x-test"})
        response = connection.getresponse()
        assert response.status == 200, response.status
        assert response.getheader("Content-Type") == "application/x-test"
        assert response.read() == body


def chunks_come_back(connection):
    data = content(1_000_000)
    connection.request("POST", "/echo", pieces(data), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == data


def an_answer_of_unknown_length_is_chunked(connection):
    connection.request("GET", "/stream")
    response = connection.getresponse()
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert response.getheader("Content-Length") is None
    assert len(response.read()) == STREAM_BYTES


def head_has_the_length_and_no_content(connection):
    connection.request("HEAD", "/file")
    response = connection.getresponse()
    assert response.getheader("Content-Length") == str(FILE_BYTES)
    assert response.read() == b""


def what_is_asked_is_what_the_site_sees(connection):
    connection.request("GET", "/inspect/../inspect?q=%41&x", headers={"X-Own": "a value"})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, text
    seen = json.loads(text)
    assert seen["method"] == "GET", seen
    assert "a value" in text.decode(), seen


def methods_are_not_confused(connection):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"):
        connection.request(method, "/echo", b"content")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"content"), method


def a_raw_socket_gets_answers_in_order():
    with socket.create_connection(HOST.split(":")) as peer:
        request = "GET /bytes/{} HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.sendall("".join(request.format(size) for size in range(1, 40)).encode())
        with peer.makefile("rb") as answers:
            for size in range(1, 40):
                assert answers.readline().startswith(b"HTTP/1.1 200 ")
                fields = http.client.parse_headers(answers)
                assert int(fields["Content-Length"]) == size
                assert len(answers.read(size)) == size


def urllib_raises_what_the_status_says():
    with urllib.request.urlopen(BASE + "/hello") as response:
        assert response.read() == HELLO
    try:
        urllib.request.urlopen(BASE + "/status/503").close()
    except urllib.error.HTTPError as error:
        assert error.code == 503
        error.close()
    else:
        raise AssertionError("no error for 503")


def main():
    with_connection = [
        one_connection_serves_many_requests,
        a_body_comes_back,
        chunks_come_back,
        an_answer_of_unknown_length_is_chunked,
        head_has_the_length_and_no_content,
        what_is_asked_is_what_the_site_sees,
        methods_are_not_confused,
    ]
    connection = http.client.HTTPConnection(HOST, timeout=20)
    for case in with_connection:
        case(connection)
    connection.close()
    a_raw_socket_gets_answers_in_order()
    urllib_raises_what_the_status_says()


main()
