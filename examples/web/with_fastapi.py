"""The chat in FastAPI: `python -m uvicorn examples.web.with_fastapi:app`."""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]

app = FastAPI()
app.add_middleware(IdempotencyMiddleware, idempotency=idem, policy=HTTPPolicy(required=True))


class Question(BaseModel):
    """What somebody asks."""

    prompt: str


@app.post("/chat")
def chat(question: Question) -> StreamingResponse:
    """Stream the model's answer."""
    return StreamingResponse(answer(question.prompt), media_type="text/event-stream")
