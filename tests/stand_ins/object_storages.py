"""The object storages that have a stand-in, by scheme."""

from tests.stand_ins import gcs, s3

STAND_INS = {"gs": gcs, "s3": s3}
# The variables that hold their addresses.
ADDRESSES = {"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL_S3"}
