"""Sends one mail of <bytes> to 127.0.0.1:<port> with smtplib and prints its SHA-256."""

import hashlib
import smtplib
import sys

line = b"a line of the mail, dots first: \r\n..and so on\r\n"
body = line * (int(sys.argv[2]) // len(line))
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20) as smtp:
    smtp.sendmail("from@shop.example", ["to@shop.example"], body)
print(hashlib.sha256(body).hexdigest())
