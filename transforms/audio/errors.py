"""Errors of audio."""


class AudioError(Exception):
    """A recording, or a clip of it, that cannot become rows.

    Attributes:
      reason: Reason of the failure, one of `clips.REASONS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
