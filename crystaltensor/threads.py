"""How many threads numerical libraries take; to be said before they are imported."""

import os

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read by numpy and torch when they are imported, and handed on to other processes."""


def one_thread_each() -> None:
    """Keep numerical libraries to one thread, here and in processes that are started.

    The matrices are small: threads would only wait for each other, and as many in each
    process as there are cores have been seen to cost a factor of forty.
    """
    for name in VARIABLES:
        os.environ[name] = "1"
