"""The codec for those who must: pickle, which lets whoever writes to the store run code here."""

from __future__ import annotations

__all__ = ["IdemkitSecurityWarning", "PickleCodec"]

import warnings
from typing import Any

from ...errors import IdemkitWarning
from .codec_errors import DecodeError, EncodeError
from .models import qualified_name


class IdemkitSecurityWarning(IdemkitWarning):
    """Something was switched on that is safe only under conditions idemkit cannot check."""


class PickleCodec:
    """Record results with pickle.

    Warning:
        Reading a pickle runs whatever code its bytes ask for. Anybody who can write to the store,
        or to the network between, can take over every process that replays from it. Prefer the
        default codec; it needs no more than the classes named in the return annotation.

    Args:
        trust_store: Say that only trusted programs can write to the store; silences the warning.
    """

    name = "pickle"

    def __init__(self, *, trust_store: bool = False) -> None:
        if not trust_store:
            warnings.warn(
                "PickleCodec runs code from the store; pass trust_store=True if only trusted "
                "programs can write to it, or use the default codec",
                IdemkitSecurityWarning,
                stacklevel=2,
            )

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a result.

        Raises:
            EncodeError: pickle cannot take the result.
        """
        import pickle  # noqa: PLC0415 - 3 ms that only its users need pay

        try:
            return pickle.dumps(value, protocol=5)
        except Exception as error:  # pickle, and `__reduce__` of the value, raise anything
            type_name = qualified_name(type(value))
            raise EncodeError(
                f"pickle refuses {type_name}: {error}", type_name=type_name
            ) from error

    def decode(self, body: bytes) -> Any:
        """Return a fresh copy of a result; run the code in its bytes.

        Raises:
            DecodeError: The bytes are no pickle, or their classes are gone.
        """
        import pickle  # noqa: PLC0415 - likewise

        try:
            return pickle.loads(body)  # noqa: S301  # the user opted in
        except Exception as error:
            raise DecodeError("the pickled record cannot be read here") from error
