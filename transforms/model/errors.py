"""Errors of models."""


class ModelError(Exception):
    """An unusable model, checkpoint or PCA; the message says which, and why."""


class ModelInputError(Exception):
    """Audio that the model rejects; the message is the model's own."""


def in_one_line(error: BaseException) -> str:
    """Returns the message of an error in one line, for use in another message.

    Runners return a worker's error as text with many lines, one of which is the message.
    """
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """Returns the informative line of an error message of TensorFlow, which has pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    informative = [
        line for line in lines if not line.startswith(("Graph execution", "Detected at", "<stack"))
    ]
    return (informative or lines or [type(error).__name__])[0]
