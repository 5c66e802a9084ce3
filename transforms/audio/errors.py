"""Why audio cannot become rows."""


class AudioError(Exception):
    """One recording cannot be used.

    Attributes:
      reason: One of the closed list of failure reasons.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
