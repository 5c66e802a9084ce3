"""Errors of manifests."""


class ManifestError(Exception):
    """A manifest that is unusable as a whole; the message says why, and how to repair it."""
