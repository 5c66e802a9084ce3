"""What is wrong with a model or with what belongs to it."""


class ModelError(Exception):
    """The model, its checkpoint or its PCA cannot be used: the message says which and why."""
