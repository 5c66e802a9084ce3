"""What Dataflow's service does with a job, in small: runs the graph that was staged.

    python -I run_staged_job.py STAGED OPTIONS.json localhost:POOL

STAGED is a folder of the objects that the job staged. The workers are those of a pool, which Beam's
start program starts with what was staged for them. Nothing of the checkout is imported: `-I` keeps
the folder of this file off the path.
"""

import json
import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_provision_api_pb2, beam_runner_api_pb2
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo


def main(staged: str, options: str, pool: str) -> None:
    """Runs a job to its end."""
    graph = Path(staged, "pipeline.pb").read_bytes()
    pipeline = beam_runner_api_pb2.Pipeline.FromString(graph)
    for environment in pipeline.components.environments.values():
        _start_in_pool(environment, pool)
        for dependency in environment.dependencies:
            _take_from_folder(dependency, staged)
    given = dict_to_struct(json.loads(Path(options).read_text()))
    provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=given)
    runner = FnApiRunner(provision_info=ExtendedProvisionInfo(provision))
    print(runner.run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish())
    ours = {"pipeline", "transforms"} & {*sys.modules}
    assert not ours, f"the service has no program of ours, and imported {ours}"


def _start_in_pool(environment: beam_runner_api_pb2.Environment, pool: str) -> None:
    assert environment.urn == common_urns.environments.DOCKER.urn, environment.urn
    payload = beam_runner_api_pb2.ExternalPayload()
    payload.endpoint.url = pool
    environment.urn = common_urns.environments.EXTERNAL.urn
    environment.payload = payload.SerializeToString()


def _take_from_folder(dependency: beam_runner_api_pb2.ArtifactInformation, folder: str) -> None:
    """Names a staged file by its path: the runner of this process fetches no objects."""
    role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(dependency.role_payload)
    path = Path(folder, role.staged_name)
    assert path.is_file(), path
    file = beam_runner_api_pb2.ArtifactFilePayload(path=str(path))
    dependency.type_urn = common_urns.artifact_types.FILE.urn
    dependency.type_payload = file.SerializeToString()


if __name__ == "__main__":
    main(*sys.argv[1:])
