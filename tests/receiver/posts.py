"""Posts to a receiver, with a token that must not be recorded."""

from __future__ import annotations

import requests

TOKEN = "t.a-token-of-production"


def post(url, data, count, token=TOKEN, **headers):
    given = {"Content-Type": "application/logplex-1", "Logplex-Msg-Count": str(count)}
    return requests.post(
        url.replace("token:", "x:", 1),
        data=data,
        headers=given | {name.replace("_", "-"): value for name, value in headers.items()},
        auth=("token", token),
        timeout=100,
    )
