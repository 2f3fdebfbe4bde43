"""Content may be anything, a page with scripts as well: it must not act in the name of this origin."""

from typing import Final

INERT: Final = {"Content-Security-Policy": "sandbox; default-src 'none'", "Accept-Ranges": "bytes"}
"""Headers of content that a client has brought."""
