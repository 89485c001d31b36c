"""How the page and its parts are served."""

import re

import httpx
import pytest

from service.errors import ServiceError
from service.routes.page import CONTENT_TYPES, FOLDER, POLICY

TEXTS = sorted(path for path in FOLDER.iterdir() if path.suffix in CONTENT_TYPES)
PARTS = [path.name for path in TEXTS if path.name != "index.html"]
REFERENCES = re.compile(r"""(?:href|src)="page/([^"]+)"|from "\./([^"]+)"|"page/([^"]+)\"""")

# Bases, what only jobs and programs meet, and what no answer tells.
UNMET = {"service_error", "client_error", "job_not_found", "jobs_unavailable", "storage_full"}
UNMET |= {"invalid_request", "invalid_bundle", "model_not_found", "headers_too_large"}


@pytest.fixture
def client(server):
    return server.client


def test_the_page_names_its_limits(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'data-max-upload-bytes="536870912" data-max-audio-s="7200"' in answer.text


@pytest.mark.parametrize("address", ["/", *(f"/page/{name}" for name in PARTS)])
def test_every_part_is_guarded_and_cached(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    policy = dict(
        rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; ")
    )
    assert policy == POLICY
    assert policy["default-src"] == "'none'"
    assert not any("unsafe" in sources or "*" in sources for sources in policy.values())
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    again = client.get(address, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


def test_the_parts_are_those_that_are_named(client):
    texts = [path.read_text(encoding="utf-8") for path in TEXTS]
    named = {name for text in texts for names in REFERENCES.findall(text) for name in names}
    assert named - {""} == set(PARTS)


def test_every_error_that_a_person_can_meet_has_its_sentence():
    known = set(re.findall(r"^  (\w+): \(", (FOLDER / "messages.js").read_text(), re.MULTILINE))
    assert codes_below(ServiceError) - UNMET <= known


def codes_below(error):
    return {error.code}.union(*(codes_below(child) for child in error.__subclasses__()))


def test_nothing_is_named_that_lies_elsewhere():
    for path in TEXTS:
        addresses = set(re.findall(r"https?://[^\"' ]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


@pytest.mark.parametrize("name", ["index.html", "none.js", "..%2Fapp.py", "%2e%2e/app.py"])
def test_nothing_else_is_served(client, name):
    answer = client.get(httpx.URL(client.base_url, raw_path=f"/page/{name}".encode()))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_it_is_not_part_of_the_described_interface(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert not any(path == "/" or path.startswith("/page") for path in paths)
    assert client.get("/docs").status_code == 200
