"""The lifecycle of the commands that run jobs: options, jobs, errors, exit status."""

import sys
import time
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.errors import JobError, RunnerLostError, UsageError
from pipeline.options.settings import EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import beam_options
from pipeline.runners.waiting import Status
from pipeline.terminal import summary
from transforms.storage import files


class Session:
    """One command, from its start to its exit status.

    Attributes:
      settings: The command's own options.
      options: Beam's options.
      started: When the command started, in seconds of `time.monotonic`.
    """

    def __init__(self, settings: EmbedSettings, options: PipelineOptions) -> None:
        self.settings = settings
        self.options = options
        self.started = time.monotonic()
        self.has_lost_runner = False

    def run_job(
        self,
        build: Callable[[beam.Pipeline], None],
        wait: bool = True,
        shows_states: bool = True,
        show: Callable[[Status], None] | None = None,
    ) -> bool:
        """Runs a job; see `pipeline.runners.runner.run`."""
        try:
            return runner.run(
                self.options,
                build,
                verbose=self.settings.verbose,
                wait=wait,
                shows_states=shows_states and not self.settings.quiet,
                show=show,
            )
        except RunnerLostError:
            self.has_lost_runner = True
            raise

    def complete_job(self, build: Callable[[beam.Pipeline], None]) -> None:
        """Runs a job to its end.

        Raises:
          JobError: The job has failed, or the flags write only a template of it.
        """
        if not self.run_job(build):
            raise JobError("the job was not run: remove the flags that only write a template of it")


def run(
    settings: EmbedSettings, beam_flags: Sequence[str], command: Callable[[Session], int]
) -> int:
    """Runs a command and returns its exit status.

    Args:
      settings: The command's own options.
      beam_flags: The flags that are not the command's own.
      command: Returns its exit status. An exception or Ctrl-C leaves it through its context
        managers, which clean up; only then is the error printed.

    Raises:
      UsageError: The options are refused; nothing has been started.
    """
    options = beam_options(beam_flags)
    files.use_options(options)
    session = Session(settings, options)
    try:
        status = command(session)
    except UsageError:
        raise
    except KeyboardInterrupt:
        print("interrupted: no dataset was written", file=sys.stderr, flush=True)
        runner.exit_immediately(summary.INTERRUPTED)
    except Exception as error:
        status = summary.broke(error)
    if session.has_lost_runner:  # threads of this process may wait for it for ever
        runner.exit_immediately(status)
    return status
