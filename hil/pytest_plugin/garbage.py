"""How seldom a run of the suite seeks garbage, and where it does not look for it.

Python looks through all objects again and again for those that only each other know. What is
imported stays, and is most of them: it is set aside.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = (5_000, 20, 50)


def seek_seldom() -> None:
    """Seek garbage less often for the rest of the process: a run makes little."""
    gc.set_threshold(*_SELDOM)


@contextmanager
def staying() -> Iterator[None]:
    """Seek no garbage while the block runs, and from then on none in what is there behind it.

    So the block should import, and make no object that is to go.
    """
    seeks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if seeks:
            gc.enable()
