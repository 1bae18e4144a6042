"""A portal's page before an installed agent: logs in, as a user of that machine, in that machine's network.

Usage: python -m tests.support.packaged_login UID BUNDLE PORT. It prints what the page would post as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import encodings.idna  # noqa: F401  (once this is another user, it cannot be loaded any more)
import http.client
import json
import os
import ssl
import sys

from tests.support.servisign_page import Page
from tests.support.servisign_traces import e_service_login

ORIGIN = "https://e-service.mohw.gov.tw"
PIN = "123456"


def main() -> None:
    user, bundle, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    context = ssl.create_default_context(cafile=bundle)
    os.setgid(user)
    os.setuid(user)  # the agent answers its own user alone
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=120)

    async def handle(origin: str, body: bytes) -> bytes:
        headers = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/", body, headers)
        return connection.getresponse().read()

    pages = (Page(handle, ORIGIN), Page(handle, ORIGIN))
    posted = asyncio.run(e_service_login(pages, PIN))
    connection.request("GET", "/status")
    status = json.loads(connection.getresponse().read())
    der = base64.b64decode(posted.certificate)
    sys.stdout.write(json.dumps({"name": posted.common_name, "certificate": len(der), "status": status}))


if __name__ == "__main__":
    main()
