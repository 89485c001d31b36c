import pytest

from service import errors
from service.errors import InvalidRequest, Overloaded, ServiceError


def tree(root):
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


def test_every_class_has_its_own_code():
    codes = [one.__dict__.get("code") for one in tree(ServiceError)]
    assert None not in codes
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", tree(ServiceError))
def test_every_class_is_in_the_overview_with_its_status(kind):
    if kind.__subclasses__() and kind.__name__ in {"ServiceError", "ClientError"}:
        assert kind.__name__ in errors.__doc__
    else:
        line = next(line for line in errors.__doc__.splitlines() if f" {kind.__name__} " in line)
        assert f" {kind.status} " in line


def test_errors_carry_what_was_found_and_what_it_was_held_against():
    error = InvalidRequest("no", found=3, limit=2, param="file")
    assert (str(error), error.found, error.limit, error.param) == ("no", 3, 2, "file")
    assert Overloaded("full", retry_after_s=1.5).retry_after_s == 1.5
