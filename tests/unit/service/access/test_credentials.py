import pytest

from service.access.credentials import from_headers, of_socket


@pytest.mark.parametrize("header", ["Bearer KEY", "bearer KEY", "Token KEY", " Bearer   KEY "])
def test_both_schemes_are_taken(header):
    assert from_headers({"authorization": header}) == "KEY"


@pytest.mark.parametrize("header", ["", "KEY", "Bearer", "Bearer ", "Basic KEY", "BearerKEY"])
def test_other_headers_hold_no_key(header):
    assert from_headers({"authorization": header}) is None


@pytest.mark.parametrize(
    ("subprotocols", "query"),
    [
        (("token", "KEY"), {}),
        (("Bearer", "KEY"), {"token": "other"}),
        ((), {"token": "KEY"}),
        ((), {"access_token": "KEY"}),
        (("chat",), {"token": "", "access_token": "KEY"}),
    ],
)
def test_sockets_have_more_ways(subprotocols, query):
    assert of_socket({}, subprotocols, query) == "KEY"
    assert of_socket({"authorization": "Bearer FIRST"}, subprotocols, query) == "FIRST"


def test_a_socket_without_a_key_has_none():
    assert of_socket({}, ("chat", "v2"), {"key": "KEY"}) is None
