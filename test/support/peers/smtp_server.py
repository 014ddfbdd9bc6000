"""An SMTP server on 127.0.0.1:<port> (aiosmtpd) that prints the size and SHA-256 of each message it takes."""

import hashlib
import signal
import sys

from aiosmtpd.controller import Controller


class Handler:
    async def handle_DATA(self, server, session, envelope):
        digest = hashlib.sha256(envelope.content).hexdigest()
        print(f"{envelope.mail_from} {','.join(envelope.rcpt_tos)} {len(envelope.content)} {digest}")
        return "250 taken"


controller = Controller(Handler(), hostname="127.0.0.1", port=int(sys.argv[1]))
controller.start()
signal.pause()
