"""A client for tests of the program, by Python's standard library alone.

get ADDRESS PATH [HEADER:VALUE]...    prints the status, the content type and the body
link ADDRESS PATH PROTOCOLS [HEADER:VALUE]...
    asks for a WebSocket; prints the status, and where it is 101 what answers a ping and a text
"""

import base64
import hashlib
import http.client
import os
import socket
import struct
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def main():
    verb, address, path, *rest = sys.argv[1:]
    if verb == "get":
        get(address, path, headers_of(rest))
    else:
        link(address, path, rest[0], headers_of(rest[1:]))


def headers_of(lines):
    return dict(line.split(":", 1) for line in lines)


def get(address, path, headers):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    print(answer.status, answer.getheader("Content-Type"))
    print(answer.read().decode(), end="")


def link(address, path, protocols, headers):
    host, port = address.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)), timeout=30)
    key = base64.b64encode(os.urandom(16))
    lines = {"Host": address, "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Key": key.decode(), "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Protocol": protocols, **headers}
    head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items()) + "\r\n"
    stream.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = stream.recv(4096)
        if not part:
            break
        answer += part
    print(answer.split(b" ", 2)[1].decode())
    if not answer.startswith(b"HTTP/1.1 101 "):
        return
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    assert b"Sec-WebSocket-Accept: " + accept + b"\r\n" in answer, answer
    left = answer.split(b"\r\n\r\n", 1)[1]
    stream.sendall(frame(0x89, b"hi"))
    left = show_until(stream, left, 0x8A)
    stream.sendall(frame(0x81, b"a text"))
    show_until(stream, left, 0x88)


def frame(first, payload):
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([first, 0x80 | len(payload)]) + mask + masked


def show_until(stream, left, wanted):
    """Skips frames before the first of kind WANTED, and prints that."""
    while True:
        while len(left) < 4 or len(left) < 2 + size_of(left)[1]:
            part = stream.recv(4096)
            if not part:
                print("the end")
                return b""
            left += part
        start, end = size_of(left)[0], 2 + size_of(left)[1]
        kind, payload, left = left[0], left[start:end], left[end:]
        if kind == wanted == 0x8A:
            print("pong", payload.decode())
        elif kind == wanted:
            print("close", struct.unpack(">H", payload[:2])[0])
        if kind == wanted:
            return left


def size_of(frames):
    """Where the first frame's payload starts, and how much follows its first two bytes."""
    if frames[1] == 126:
        return 4, 2 + struct.unpack(">H", frames[2:4])[0]
    assert frames[1] < 126, "a frame that is not expected here"
    return 2, frames[1]


main()
