"""A WebSocket echo on 127.0.0.1:<port> (websockets). `close <code>` closes with that code; prints how each ended."""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def handler(socket):
    try:
        async for message in socket:
            if isinstance(message, str) and message.startswith("close "):
                await socket.close(int(message.split()[1]), "as asked")
            else:
                await socket.send(message)
    except ConnectionClosed:
        pass
    print(f"closed {socket.request.path} {socket.close_code} {socket.close_reason}")


async def main():
    options = {"max_size": 16 * 2**20, "subprotocols": ["echo"], "ping_interval": 1}
    async with serve(handler, "127.0.0.1", int(sys.argv[1]), **options):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
