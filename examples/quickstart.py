"""The smallest whole program: a decorated function, called twice, runs once."""

from idemkit import idempotent


@idempotent(ttl=3600)
def greet(name: str) -> str:
    """Greet somebody, and say that it really runs."""
    print(f"greeting {name} ...")
    return f"Hello, {name}!"


print(greet("Ada"))
print(greet("Ada"), "(replayed: the function did not run again)")
