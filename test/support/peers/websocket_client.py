"""Talks to the echo at ws://127.0.0.1:<port>/ with websockets: text, binary, fragments, ping, close codes."""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = f"ws://127.0.0.1:{sys.argv[1]}/python"


async def main():
    async with connect(URL, max_size=16 * 2**20, subprotocols=["echo"]) as socket:
        assert socket.subprotocol == "echo", socket.subprotocol
        await socket.send("grüße")
        assert await socket.recv() == "grüße"
        big = os.urandom(2**20)
        await socket.send(big)
        assert await socket.recv() == big
        await socket.send(["in ", "three ", "fragments"])
        assert await socket.recv() == "in three fragments"
        await (await socket.ping(b"ping"))
        # Longer than the server's pings are apart.
        await asyncio.sleep(1.5)
        await socket.send("still here")
        assert await socket.recv() == "still here"
        await socket.send("close 4001")
        try:
            await socket.recv()
            raise AssertionError("not closed")
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as asked"), closed
    print("ok")


asyncio.run(asyncio.wait_for(main(), 20))
