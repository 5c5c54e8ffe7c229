"""Offline: how a batch asks an endpoint."""

import json
from collections.abc import Callable
from typing import TypeAlias, cast

from ..errors import ApiError, Json
from ..replies import Content, Reply
from ..routes import Call

__all__ = ["Endpoint", "ask"]

Endpoint: TypeAlias = Callable[[Call], Reply]


def ask(endpoint: Endpoint, body: object) -> Json:
    """Return an endpoint's whole reply to a request body.

    Raises:
        ApiError: the request is refused, or asks for a stream.
    """
    reply = endpoint(Call(query={}, headers={}, body=json.dumps(body).encode()))
    if not isinstance(reply, Content):
        raise ApiError("A batch cannot stream.", param="stream")
    return cast("Json", json.loads(reply.body))
