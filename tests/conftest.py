"""Settings that all tests share."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A machine under load is no defect, so no example has a deadline; in CI the same
# examples come every time, so that a red run can be repeated.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "local")

# Shells start what runs in the background deaf to Ctrl-C, and all children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio, the one event loop that idemkit supports."""
    return "asyncio"
