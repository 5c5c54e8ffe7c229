"""Files: the endpoints of OpenAI, Mistral and Anthropic for what batches read and write."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from ..errors import ApiError, Json
from ..multipart import parse_form
from ..replies import Content, Reply, document
from ..routes import Call, Route
from .paging import page

__all__ = ["LARGEST_FILE", "Files", "Stored"]

LARGEST_FILE = 64 << 20

# What Mistral says of a file besides, on the same card.
_MISTRAL: Json = {"sample_type": "batch_request", "source": "upload", "deleted": False}


@dataclass(frozen=True, slots=True)
class Stored:
    """A file and what is said about it."""

    content: bytes
    card: Json
    media_type: str


class Files:
    """The endpoints, and the files."""

    def __init__(self) -> None:
        """Start with none."""
        self._files: dict[str, Stored] = {}

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        return [
            Route("POST", "/v1/files", self._upload, largest=LARGEST_FILE),
            Route("GET", "/v1/files", self._list),
            Route("GET", "/v1/files/{id}", self._retrieve),
            Route("GET", "/v1/files/{id}/content", self._content),
            Route("DELETE", "/v1/files/{id}", self._delete),
        ]

    def add(
        self,
        content: bytes,
        *,
        filename: str,
        purpose: str,
        media_type: str = "application/x-ndjson",
    ) -> Json:
        """Store a file and return what is said about it."""
        name = f"file-{uuid4().hex}"
        card: Json = {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            **_MISTRAL,
        }
        self._files[name] = Stored(content, card, media_type)
        return card

    def find(self, name: str) -> Stored:
        """Return a file.

        Raises:
            ApiError: there is none of this name.
        """
        if name not in self._files:
            raise ApiError(f"No such File object: {name}", status=404, param="id")
        return self._files[name]

    def _upload(self, call: Call) -> Reply:
        form = parse_form(call.body, content_type=call.headers.get("content-type", ""))
        required = ["file"] if _is_anthropic(call) else ["file", "purpose"]
        for name in required:
            if name not in form:
                message = f"'{name}' is a required property."
                raise ApiError(message, param=name, code="missing_required_parameter")
        file = form["file"]
        card = self.add(
            file.content,
            filename=file.filename or "upload",
            purpose=form["purpose"].content.decode("utf-8", "replace") if "purpose" in form else "",
            media_type=file.media_type,
        )
        return document(_shown(self.find(str(card["id"])), call))

    def _list(self, call: Call) -> Reply:
        if _is_anthropic(call):
            return self._list_in_anthropic_words(call)
        cards = [file.card for file in reversed([*self._files.values()])]
        if call.query.get("order") == "asc":
            cards.reverse()
        wanted = call.query.get("purpose")
        listed = [card for card in cards if wanted in {None, card["purpose"]}]
        return document(page(listed, call.query))

    def _list_in_anthropic_words(self, call: Call) -> Reply:
        cards = [_shown(file, call) for file in reversed([*self._files.values()])]
        listed = page(cards, call.query, after="page")
        following = listed["last_id"] if listed["has_more"] else None
        return document({"data": listed["data"], "next_page": following})

    def _retrieve(self, call: Call) -> Reply:
        return document(_shown(self.find(call.names["id"]), call))

    def _content(self, call: Call) -> Reply:
        return Content(self.find(call.names["id"]).content, "application/octet-stream")

    def _delete(self, call: Call) -> Reply:
        name = call.names["id"]
        self.find(name)
        del self._files[name]
        if _is_anthropic(call):
            return document({"id": name, "type": "file_deleted"})
        return document({"id": name, "object": "file", "deleted": True})


def _is_anthropic(call: Call) -> bool:
    # Both families have their files at the same path.
    return "anthropic-version" in call.headers


def _shown(file: Stored, call: Call) -> Json:
    card = file.card
    if not _is_anthropic(call):
        return card
    created = datetime.fromtimestamp(cast("int", card["created_at"]), UTC)
    return {
        "id": card["id"],
        "type": "file",
        "filename": card["filename"],
        "mime_type": file.media_type,
        "size_bytes": card["bytes"],
        "created_at": created.isoformat(),
        "downloadable": True,
    }
