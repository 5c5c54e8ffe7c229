"""A program that makes one guarded call, for a sweep: `python -m tests.testing.crashing`."""

import asyncio
import json
import sys
from typing import Any

import redis

from idemkit import Idempotency
from idemkit.stores.redis import RedisStore
from idemkit.testing.faults import arm_from_environment


def charge(url: str, prefix: str, colour: str, failing: bool) -> Any:
    """Make the call, whose effect is a word in a list that everybody sees."""
    idem = Idempotency(RedisStore(url, prefix=prefix), lease=1)

    def pay(order: str) -> str:
        with redis.Redis.from_url(url) as client:
            runs = client.rpush(f"{prefix}:effects", order)
        if failing and runs == 1:
            raise ConnectionError("declined")
        return f"run {runs}"

    async def pay_later(order: str) -> str:
        return pay(order)

    guard = idem.idempotent(name="pay")
    if colour == "sync":
        return guard(pay)("order-17")
    return asyncio.run(guard(pay_later)("order-17"))


if __name__ == "__main__":
    arm_from_environment()
    sys.stdout.write(charge(**json.loads(sys.argv[1])))
