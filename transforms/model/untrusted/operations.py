"""TensorFlow's operations that reach beyond the model: files, the network, Python, the process."""

import re
from typing import Any

# Versions count as one operation: SaveV2 is Save.
_VERSION = re.compile(r"^_*(?:Experimental)?|V\d+$")
_FILES = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|MatchingFilesDataset"
    r"|\w*Reader|Reader[A-Z]\w*|RecordInput"
    r"|Save|SaveSlices|SaveDataset|DistributedSave|MergeV2Checkpoints|CalibrationStatisticsSaver"
    r"|Restore|RestoreSlice|DTensorRestore|LoadDataset|LoadAndRemapMatrix|GenerateVocabRemapping"
    r"|InitializeTableFromTextFile"
    r"|(CSV|Cache|FixedLengthRecord|LMDB|Sql|TFRecord|TextLine)Dataset|DatasetToTFRecord"
    r"|\w*Snapshot\w*Dataset\w*"
    r"|\w*SummaryWriter|CreateSummary\w+|Write\w*Summary|ImportEvent|DumpTensor|Skipgram"
    r"|FileSystem\w+|\w*TRT\w*"
)
_NETWORK = re.compile(
    r"\w*Rpc\w*|Remote\w+|DataServiceDataset|RegisterDataset|Collective\w+|Nccl\w+"
    r"|\w*(Send|Recv)(?![a-z])\w*|\w*(BigQuery|Bigtable|Kafka|Gcs|Grpc|Http|DistributedTPU)\w*"
)
_DEBUGGER = re.compile(r"Debug(Identity|NanCount|NumericSummary)")
# A graph in a text would hide its operations; custom calls are functions of the process.
_CODE = re.compile(
    r"\w*PyFunc\w*|DatasetFromGraph|DeserializeIterator|XlaCustomCall|Abort|\w*TPUCompile\w*"
)
_REASONS = (
    (_FILES, "reads or writes files"),
    (_NETWORK, "uses the network"),
    (_DEBUGGER, "writes files or uses the network"),
    (_CODE, "runs code beyond the model's graph"),
)
# Operations that read or write a file if an attribute says so: its harmless values.
_ATTRIBUTES = {
    "PrintV2": ("output_stream", r"|stdout|stderr|log\(\w+\)"),
    "DecodeProtoV2": ("descriptor_source", r"|local://|bytes://.*"),
    "EncodeProto": ("descriptor_source", r"|local://|bytes://.*"),
    "FixedUnigramCandidateSampler": ("vocab_file", ""),
}
TABLE_FROM_FILE = "InitializeTableFromTextFile"
# TensorFlow itself writes functions of these into every model, to save and restore it.
SAVER_OPERATIONS = frozenset(("SaveV2", "RestoreV2", "MergeV2Checkpoints"))


def reason_to_refuse(node: Any) -> str:
    """Returns what a node does that a model need not do; empty for a harmless one.

    Args:
      node: `NodeDef`.
    """
    name = base_name(node.op)
    for operations, reason in _REASONS:
        if operations.fullmatch(name):
            return reason
    attribute, harmless = _ATTRIBUTES.get(node.op, ("", ""))
    if attribute in node.attr:
        value = node.attr[attribute].s.decode("utf-8", "replace")
        if not re.fullmatch(harmless, value, re.DOTALL):
            return "reads or writes files"
    return ""


def base_name(operation: str) -> str:
    """Returns the name of an operation without its version."""
    return _VERSION.sub("", operation)
