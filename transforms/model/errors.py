"""What is wrong with a model or with what belongs to it."""


class ModelError(Exception):
    """The model, its checkpoint or its PCA cannot be used: the message says which and why."""


def in_one_line(error: BaseException) -> str:
    """Returns an error's own words for the message of another.

    Engines give a worker's error back as text with many lines, of which one is the message.
    """
    return " ".join(str(error).split()) or type(error).__name__
