"""Amazon S3 on this machine: moto's server."""

import contextlib
import urllib.request
from collections.abc import Iterator

from tests import optional
from tests.stand_ins import processes

BUCKET = "corpora"
# The variables by which AWS's own tools find their credentials.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Serves an empty bucket while the block lasts; gives its address for AWS_ENDPOINT_URL_S3."""
    optional.need_module("moto.server")
    port = processes.free_port()
    with processes.serving(["moto.server", "-H127.0.0.1", f"-p{port}"], port) as address:
        _make_bucket(address)
        yield address


def empty(address: str) -> None:
    """Removes all objects."""
    reset = urllib.request.Request(f"{address}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=300).close()
    _make_bucket(address)


def make_public(address: str, name: str) -> None:
    """Lets everybody list the bucket and read one of its objects."""
    import boto3

    client = boto3.client("s3", endpoint_url=address)
    client.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    client.put_object_acl(Bucket=BUCKET, Key=name, ACL="public-read")


def _make_bucket(address: str) -> None:
    make = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
    urllib.request.urlopen(make, timeout=300).close()
