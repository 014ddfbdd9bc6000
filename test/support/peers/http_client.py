"""Talks to the echo at 127.0.0.1:<port> with http.client and urllib, or, with the argument `h2`, with h2."""

import http.client
import io
import os
import socket
import sys
import urllib.request

import h2.config
import h2.connection
import h2.events

PORT = int(sys.argv[1])
BODY = os.urandom(1_500_000)


def plain():
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    for _ in range(5):
        connection.request("GET", "/echo?a=b")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"GET /echo?a=b 0\n"), response.status
    connection.request("POST", "/body", body=BODY)
    response = connection.getresponse()
    assert response.read() == BODY
    # An iterable without length goes in chunks.
    connection.request("PUT", "/body", body=iter([BODY[:7], BODY[7:]]), encode_chunked=True)
    response = connection.getresponse()
    assert response.read() == BODY
    connection.request("HEAD", "/echo")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    connection.close()
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/echo", timeout=20) as response:
        assert response.read() == b"GET /echo 0\n"


def over_h2():
    peer = socket.create_connection(("127.0.0.1", PORT), timeout=20)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    head = [(":authority", "shop.example"), (":scheme", "http")]
    connection.send_headers(1, [(":method", "GET"), (":path", "/echo"), *head], end_stream=True)
    connection.send_headers(3, [(":method", "POST"), (":path", "/body"), *head])
    upload = io.BytesIO(BODY)
    left = len(BODY)
    bodies = {1: b"", 3: b""}
    status = {}
    open_streams = {1, 3}
    while open_streams:
        while left > 0:
            size = min(connection.local_flow_control_window(3), connection.max_outbound_frame_size, left)
            if size == 0:
                break
            left -= size
            connection.send_data(3, upload.read(size), end_stream=left == 0)
        peer.sendall(connection.data_to_send())
        received = peer.recv(65_536)
        assert received, "closed"
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                status[event.stream_id] = dict(event.headers)[b":status"]
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                open_streams.discard(event.stream_id)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise AssertionError(event)
        peer.sendall(connection.data_to_send())
    assert status == {1: b"200", 3: b"200"}, status
    assert bodies[1] == b"GET /echo 0\n"
    assert bodies[3] == BODY
    peer.close()


over_h2() if sys.argv[2:] == ["h2"] else plain()
print("ok")
