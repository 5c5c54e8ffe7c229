"""The demo as a play: a small program, five acts in which its calls are repeated, and the bill."""

from .play import play

__all__ = ["play"]
