"""What can go wrong with a job as a whole."""


class JobError(Exception):
    """The engine ended the job without success; the text is the engine's."""


class EngineLostError(JobError):
    """The engine, or a worker of it, is gone; threads of this process may wait for it for ever."""
