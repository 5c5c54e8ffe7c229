"""What tests of requests to models start from."""

from tests.core.conftest import backend

__all__ = ["backend"]
