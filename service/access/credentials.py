"""Where clients put their key.

- `Authorization: Bearer KEY`: OpenAI's SDK, and most others;
- `Authorization: Token KEY`: Deepgram's;
- `Sec-WebSocket-Protocol: token, KEY`: browsers, which can set no header of a WebSocket;
- `?token=KEY`, `?access_token=KEY`: WebSockets only, since addresses end up in the logs of proxies.
"""

from collections.abc import Mapping, Sequence

SCHEMES = ("bearer", "token")
QUERY_NAMES = ("token", "access_token")


def from_headers(headers: Mapping[str, str]) -> str | None:
    """The key in the header `Authorization`; None if there is none of a kind that is taken."""
    scheme, _, secret = headers.get("authorization", "").strip().partition(" ")
    return secret.strip() or None if scheme.lower() in SCHEMES else None


def of_socket(
    headers: Mapping[str, str], subprotocols: Sequence[str], query: Mapping[str, str]
) -> str | None:
    """The key of a WebSocket's handshake; None if there is none."""
    if secret := from_headers(headers):
        return secret
    if len(subprotocols) == 2 and subprotocols[0].lower() in SCHEMES:
        return subprotocols[1]
    return next((query[name] for name in QUERY_NAMES if query.get(name)), None)
