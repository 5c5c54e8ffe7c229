"""Message batches: Anthropic's endpoints that execute many messages."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast
from uuid import uuid4

from ..dialects import ANTHROPIC
from ..errors import ApiError, Json, told
from ..fields import Fields
from ..jobs import Job, Jobs
from ..replies import Content, Reply, document
from ..routes import Call, Route
from .files import LARGEST_FILE
from .messages import Messages
from .offline import ask
from .paging import page

__all__ = ["MessageBatches"]

_PATH = "/v1/messages/batches"
_MOST_REQUESTS = 100_000
_CUSTOM_ID = re.compile("[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class _Batch:
    """A batch and the job that executes it."""

    card: Json
    job: Job[Json, Json] | None = field(default=None)


class MessageBatches:
    """The endpoints, and the batches.

    Args:
        messages: what each request of a batch asks.
        jobs: executes them.
    """

    def __init__(self, messages: Messages, jobs: Jobs) -> None:
        """Start with none."""
        self._messages = messages
        self._jobs = jobs
        self._batches: dict[str, _Batch] = {}

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        return [
            Route("POST", _PATH, self._create, ANTHROPIC, largest=LARGEST_FILE),
            Route("GET", _PATH, self._list, ANTHROPIC),
            Route("GET", f"{_PATH}/{{id}}", self._retrieve, ANTHROPIC),
            Route("GET", f"{_PATH}/{{id}}/results", self._results, ANTHROPIC),
            Route("POST", f"{_PATH}/{{id}}/cancel", self._cancel, ANTHROPIC),
            Route("DELETE", f"{_PATH}/{{id}}", self._delete, ANTHROPIC),
        ]

    def _create(self, call: Call) -> Reply:
        requests = _parse(Fields(call.json()))
        name, now = f"msgbatch_{uuid4().hex}", datetime.now(UTC)
        batch = _Batch(
            {
                "id": name,
                "type": "message_batch",
                "processing_status": "in_progress",
                "request_counts": _counts([], len(requests), ended=False),
                "created_at": now.isoformat(),
                "expires_at": (now + timedelta(days=1)).isoformat(),
                "ended_at": None,
                "archived_at": None,
                "cancel_initiated_at": None,
                "results_url": None,
            }
        )
        url = f"http://{call.headers['host']}{_PATH}/{name}/results"
        accepted = document(batch.card)
        self._batches[name] = batch
        finish = partial(self._finish, batch, url)
        batch.job = self._jobs.begin(requests, self._execute, finish=finish)
        return accepted

    def _execute(self, request: Json) -> Json:
        try:
            message = ask(self._messages.create, request["params"])
            result: Json = {"type": "succeeded", "message": message}
        except Exception as error:  # noqa: BLE001 - a defect is answered too
            result = {"type": "errored", "error": ANTHROPIC.body(told(error))}
        return {"custom_id": request["custom_id"], "result": result}

    def _finish(self, batch: _Batch, url: str, job: Job[Json, Json]) -> None:
        batch.card |= {
            "request_counts": _counts(job.results, len(job.items), ended=True),
            "ended_at": datetime.now(UTC).isoformat(),
            "results_url": url,
            "processing_status": "ended",
        }

    def _list(self, call: Call) -> Reply:
        cards = [_shown(batch) for batch in reversed([*self._batches.values()])]
        return document(page(cards, call.query, after="after_id"))

    def _retrieve(self, call: Call) -> Reply:
        batch, job = self._find(call)
        job.poll()
        return document(_shown(batch))

    def _results(self, call: Call) -> Reply:
        _, job = self._find(call)
        if not job.ended.is_set():
            raise ApiError("The batch has no results yet: it has not ended.", code="not_ended")
        left = [request["custom_id"] for request in job.items[len(job.results) :]]
        lines = [*job.results, *({"custom_id": name, "result": _CANCELED} for name in left)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return Content(text.encode(), "application/x-jsonl")

    def _cancel(self, call: Call) -> Reply:
        batch, job = self._find(call)
        if not job.ended.is_set():
            now = datetime.now(UTC).isoformat()
            batch.card |= {"cancel_initiated_at": now}
            job.cancel()
        return document(_shown(batch))

    def _delete(self, call: Call) -> Reply:
        batch, job = self._find(call)
        if not job.ended.is_set():
            raise ApiError("Cancel the batch before you delete it.", code="not_ended")
        del self._batches[call.names["id"]]
        return document({"id": batch.card["id"], "type": "message_batch_deleted"})

    def _find(self, call: Call) -> tuple[_Batch, Job[Json, Json]]:
        batch = self._batches.get(call.names["id"])
        if batch is None or batch.job is None:
            raise ApiError(f"There is no batch '{call.names['id']}'.", status=404)
        return batch, batch.job


def _shown(batch: _Batch) -> Json:
    job = batch.job
    if job is None or job.ended.is_set():
        return batch.card
    now: Json = {"request_counts": _counts(job.results, len(job.items), ended=False)}
    # Said here and not kept, so that it cannot overwrite an end that comes meanwhile.
    return batch.card | now | ({"processing_status": "canceling"} if job.canceled.is_set() else {})


_CANCELED = {"type": "canceled"}


def _parse(fields: Fields) -> list[Json]:
    fields.allow(frozenset({"requests"}))
    requests = fields.objects("requests")
    if len(requests) > _MOST_REQUESTS:
        fields.refuse("requests", f"must hold at most {_MOST_REQUESTS} requests")
    names: set[str] = set()
    for request in requests:
        request.allow(frozenset({"custom_id", "params"}))
        name = request.text("custom_id")
        if not _CUSTOM_ID.fullmatch(name):
            request.refuse("custom_id", "must be 1 to 64 letters, digits, '_' and '-'")
        if name in names:
            request.refuse("custom_id", "must be unique")
        names.add(name)
        request.members("params")
    return cast("list[Json]", fields.items("requests"))


def _counts(results: list[Json], total: int, *, ended: bool) -> Json:
    kinds = [cast("Json", line["result"])["type"] for line in results]
    left = total - len(kinds)
    return {
        "processing": 0 if ended else left,
        "succeeded": kinds.count("succeeded"),
        "errored": kinds.count("errored"),
        "canceled": left if ended else 0,
        "expired": 0,
    }
