"""Reading: what the bodies of several dialects have in common."""

from ..errors import ApiError
from ..fields import Fields
from ..model import MODEL_NAME

__all__ = ["INT64", "MOST_TOKENS", "check_model", "check_name", "read_parts", "read_seed"]

INT64 = 2**63
MOST_TOKENS = 1 << 16


def check_model(fields: Fields) -> None:
    """Refuse a request for another model than the one there is."""
    check_name(fields.text("model"))


def check_name(name: str) -> None:
    """Refuse the name of another model than the one there is."""
    if name != MODEL_NAME:
        message = f"The model '{name}' does not exist: this server has only '{MODEL_NAME}'."
        raise ApiError(message, status=404, param="model", code="model_not_found")


def read_seed(fields: Fields, name: str = "seed") -> int | None:
    """Return the seed, if there is one."""
    if fields.get(name) is None:
        return None
    return fields.integer(name, 0, low=-INT64, high=INT64 - 1)


def read_parts(fields: Fields, name: str, kinds: frozenset[str]) -> list[str]:
    """Return the texts of a member that is a string or an array of text parts.

    Args:
        fields: the object that has the member.
        name: of the member.
        kinds: what the `type` of a part may be.
    """
    if not isinstance(fields.get(name), list):
        return [fields.text(name)]
    texts: list[str] = []
    for part in fields.objects(name):
        if part.text("type") not in kinds:
            part.refuse("type", f"must be {_either(kinds)}: this model reads nothing else")
        texts.append(part.text("text"))
    return texts


def _either(kinds: frozenset[str]) -> str:
    return " or ".join(f"'{kind}'" for kind in sorted(kinds))
