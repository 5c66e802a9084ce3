#!/usr/bin/env python3
"""Starts a worker of Flink's task managers where neither containers nor a worker pool are wanted.

For `--environment_type=PROCESS`: the task manager runs this file, which must be executable and
begin with the path of a Python that has this program, on every machine of the cluster. Where
the workers' image or machine has Beam's own start program, use that instead: it also installs what
the launcher has sent along, which is left alone here.
"""

import argparse

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Runs a worker until its task manager ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args()  # the others are of no use here
    with grpc.insecure_channel(given.provision_endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        answer = service.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(), metadata=[("worker_id", given.id)]
        )
    SdkHarness(
        answer.info.control_endpoint.url,
        worker_id=given.id,
        state_cache_size=0,
        data_buffer_time_limit_ms=-1,  # none: a worker sends between elements
    ).run()


if __name__ == "__main__":
    main()
