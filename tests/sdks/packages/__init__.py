"""The packages that are installed, each known to the module of its name."""

from importlib import import_module
from importlib.metadata import distributions

from tests.sdks.talks import Ask

__all__ = ["ASKS"]

_MODULES = {
    "anthropic": "anthropic",
    "google-genai": "google_genai",
    "groq": "groq",
    "instructor": "instructor",
    "langchain-openai": "langchain_openai",
    "litellm": "litellm",
    "mistralai": "mistralai",
    "openai": "openai",
    "pydantic-ai-slim": "pydantic_ai",
}
_INSTALLED = {distribution.name for distribution in distributions()}

ASKS: list[Ask] = [
    ask
    for package, module in _MODULES.items()
    if package in _INSTALLED
    for ask in import_module(f"{__name__}.{module}").ASKS
]
"""All ways to ask that can be tried here."""
