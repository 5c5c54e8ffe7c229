"""One app, four worker processes, one SQLite file: every order is placed once.

`asgi.py` runs with `uvicorn --workers 4`, `wsgi.py` with `gunicorn -w 4`. The environment says
where things are: `$IDEMKIT_STORE` the records, `$LEDGER` the log of what was done.
"""

from .ledger import enter, idem

__all__ = ["enter", "idem"]
