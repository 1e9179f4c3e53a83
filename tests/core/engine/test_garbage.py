"""During a start nobody looks for garbage."""

import gc
import weakref

import pytest

from core.engine import garbage


@pytest.fixture(autouse=True)
def thawed():
    """The search for garbage is as it was."""
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("before", [True, False])
def test_search_rests_and_is_as_it_was(before):
    """Even if the start fails."""

    @garbage.kept()
    def start():
        assert not gc.isenabled()
        raise ValueError("no model")

    (gc.enable if before else gc.disable)()
    with pytest.raises(ValueError, match="no model"):
        start()
    assert gc.isenabled() is before


def test_old_circles_are_left_alone_and_new_ones_are_found():
    """What exists is not looked through again."""

    class Thing:
        pass

    def circle():
        one = Thing()
        one.itself = one
        return weakref.ref(one)

    gc.disable()
    old = circle()
    garbage.never_in_what_exists()
    new = circle()
    gc.collect()
    assert old() is not None
    assert new() is None
