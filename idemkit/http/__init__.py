"""Guarded requests: the settings of the HTTP doors, and what their hooks get to see."""

from .policy import HTTPPolicy, credential_scope, default_keep, default_scope
from .views import Headers, Request, Response

__all__ = [
    "HTTPPolicy",
    "Headers",
    "Request",
    "Response",
    "credential_scope",
    "default_keep",
    "default_scope",
]
