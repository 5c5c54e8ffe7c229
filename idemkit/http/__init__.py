"""Guarded requests: the settings of the HTTP doors, and what their hooks and clients get to see."""

from .events import HTTPEvent
from .policy import HTTPPolicy, credential_scope, default_keep, default_scope
from .problems import Problem
from .published import policy_document
from .views import Headers, Request, Response

__all__ = [
    "HTTPEvent",
    "HTTPPolicy",
    "Headers",
    "Problem",
    "Request",
    "Response",
    "credential_scope",
    "default_keep",
    "default_scope",
    "policy_document",
]
