"""Headers that keep browsers from doing with an answer what was not meant."""

DOCUMENTATION = "/docs"

SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # answers hold what was said
}
# Swagger's page begins with a script of its own.
DOCUMENTATION_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def safe_headers(path: str) -> dict[str, str]:
    """What the answer for a path has, unless its route says otherwise."""
    if path == DOCUMENTATION:
        return SAFE_HEADERS | {"Content-Security-Policy": DOCUMENTATION_POLICY}
    return SAFE_HEADERS
