"""The errors that end a command."""


class UsageError(Exception):
    """The command cannot run as given: the message names flag, value and what is allowed."""


class JobError(Exception):
    """The job failed; the message is the runner's."""


class RunnerLostError(JobError):
    """The runner or a worker is gone; threads of this process may wait for it for ever."""


class JobGoesOnError(RunnerLostError):
    """The launcher has lost the runner, which may still run the job to its end.

    Attributes:
      where: Where to look after the job.
    """

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.where = where
