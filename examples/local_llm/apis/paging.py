"""Paging: how lists are cut into pages."""

from collections.abc import Mapping, Sequence

from ..errors import ApiError, Json

__all__ = ["page"]

_MOST = 10_000


def page(items: Sequence[Json], query: Mapping[str, str], *, after: str = "after") -> Json:
    """Return one page of a list whose items have an `id`.

    Args:
        items: all of them, in the order of the list.
        query: of the request; its `limit` is 20 if it says nothing.
        after: the member of the query that names the last item of the page before.

    Raises:
        ApiError: the query makes no sense.
    """
    limit = query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise ApiError(f"Invalid 'limit': it must be between 1 and {_MOST}.", param="limit")
    names = [item["id"] for item in items]
    last = query.get(after)
    if last is not None and last not in names:
        raise ApiError(f"Invalid '{after}': there is no '{last}'.", param=after)
    begin = 0 if last is None else names.index(last) + 1
    shown = items[begin : begin + int(limit)]
    return {
        "object": "list",
        "data": shown,
        "has_more": len(items) > begin + len(shown),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }
