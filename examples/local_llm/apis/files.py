"""Files: OpenAI's endpoints for what batches read and write."""

import time
from dataclasses import dataclass
from uuid import uuid4

from ..errors import ApiError, Json
from ..multipart import parse_form
from ..replies import Content, Reply, document
from ..routes import Call, Route
from .paging import page

__all__ = ["LARGEST_FILE", "Files", "Stored"]

LARGEST_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A file and what is said about it."""

    content: bytes
    card: Json


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

    def add(self, content: bytes, *, filename: str, purpose: str) -> Json:
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
        }
        self._files[name] = Stored(content, card)
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
        for name in ("file", "purpose"):
            if name not in form:
                message = f"'{name}' is a required property."
                raise ApiError(message, param=name, code="missing_required_parameter")
        file = form["file"]
        purpose = form["purpose"].content.decode("utf-8", "replace")
        return document(self.add(file.content, filename=file.filename or "upload", purpose=purpose))

    def _list(self, call: Call) -> Reply:
        cards = [file.card for file in reversed([*self._files.values()])]
        if call.query.get("order") == "asc":
            cards.reverse()
        wanted = call.query.get("purpose")
        listed = [card for card in cards if wanted in {None, card["purpose"]}]
        return document(page(listed, call.query))

    def _retrieve(self, call: Call) -> Reply:
        return document(self.find(call.names["id"]).card)

    def _content(self, call: Call) -> Reply:
        return Content(self.find(call.names["id"]).content, "application/octet-stream")

    def _delete(self, call: Call) -> Reply:
        name = call.names["id"]
        self.find(name)
        del self._files[name]
        return document({"id": name, "object": "file", "deleted": True})
