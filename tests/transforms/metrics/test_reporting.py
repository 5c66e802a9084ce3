"""What DoFns report besides their results."""

import subprocess
import sys
import textwrap
import threading

from transforms.metrics import reporting
from transforms.metrics.reporting import TIME, ReportingFn
from transforms.metrics.run_times import STARTING


def test_a_process_that_runs_jobs_itself_reports_no_start_of_a_worker() -> None:
    starts = []

    def run() -> None:
        reporting._first_bundles[:] = [True]
        fn = ReportingFn()
        fn.start_bundle()
        starts.append((TIME, STARTING) in fn.totals)

    thread = threading.Thread(target=run)  # a worker of LOOPBACK is a thread of the launcher
    thread.start()
    thread.join()
    assert starts == [False]


def test_a_worker_process_reports_its_start_once() -> None:
    program = textwrap.dedent("""
        import threading
        from apache_beam.runners.worker.sdk_worker import SdkHarness
        from transforms.metrics.reporting import ReportingFn

        class Harness(SdkHarness):
            def __init__(self):
                pass

            def run(self):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()

        def work():
            for _ in range(2):
                fn = ReportingFn()
                fn.start_bundle()
                print({key[1]: value.number for key, value in fn.totals.items()})
                print([value.seconds for value in fn.totals.values()])

        Harness().run()
    """)
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    ).stdout.splitlines()
    assert said[0] == str({STARTING: 1})
    assert 0.1 < float(said[1].strip("[]")) < 300
    assert said[2:] == ["{}", "[]"]
