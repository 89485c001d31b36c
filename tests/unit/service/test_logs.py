import json
import logging

import pytest

from service.logs import REQUEST_ID, configure_logging

LOGGER = logging.getLogger("service.anything")


@pytest.fixture
def log(monkeypatch, capsys):
    """Chooses a format, and gives what reads the lines written since."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", root.level)

    def chosen(log_format):
        monkeypatch.setattr(root, "handlers", [])  # here, since pytest adds its own for each test
        configure_logging("info", log_format)
        return lambda: capsys.readouterr().err.splitlines()

    return chosen


def test_json_has_an_object_a_line_with_what_is_known(log):
    lines = log("json")
    LOGGER.info("%s is ready", "english", extra={"status": 200})
    LOGGER.debug("too little to tell")
    (line,) = map(json.loads, lines())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "service.anything",
        "message": "english is ready",
        "status": 200,
    }


def test_a_failure_is_one_line_too_with_the_request_that_met_it(log):
    lines = log("json")
    token = REQUEST_ID.set("request-a")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        LOGGER.exception("it failed")
    finally:
        REQUEST_ID.reset(token)
    (line,) = map(json.loads, lines())
    assert line["request_id"] == "request-a"
    assert line["exception"].endswith("ValueError: first\nsecond")


def test_text_is_for_people(log):
    lines = log("text")
    LOGGER.warning("nearly full")
    (line,) = lines()
    assert line.endswith(" WARNING service.anything: nearly full")
