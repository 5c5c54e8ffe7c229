"""The packages that are installed, each known to the module of its name."""

from importlib import import_module
from importlib.util import find_spec

from tests.sdks.talks import Ask

__all__ = ["ASKS"]

_MODULES = {
    "anthropic": "anthropic",
    "google.genai": "google_genai",
    "groq": "groq",
    "instructor": "instructor",
    "langchain_openai": "langchain_openai",
    "litellm": "litellm",
    "mistralai": "mistralai",
    "openai": "openai",
    "pydantic_ai": "pydantic_ai",
}


def _found(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


ASKS: list[Ask] = [
    ask
    for package, module in _MODULES.items()
    if _found(package)
    for ask in import_module(f"{__name__}.{module}").ASKS
]
"""All ways to ask that can be tried here."""
