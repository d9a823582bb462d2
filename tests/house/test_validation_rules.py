"""Our subset of protovalidate's rules: its numbers are the published ones, and its rules hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import protovalidate
import pytest
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from protovalidate._gen.buf.validate import validate_pb

RULES: Final = "buf/validate/validate.proto"
TRIAL: Final = """
edition = "2024";
package trial;
import option "buf/validate/validate.proto";
option features.field_presence = IMPLICIT;
message Named {
  string name = 1 [(buf.validate.field).string = {min_len: 1, max_len: 3}];
  bytes key = 2 [(buf.validate.field).bytes.len = 2];
  repeated int64 counts = 3 [(buf.validate.field).repeated = {
    max_items: 2, unique: true, items: {int64: {gte: 0}}
  }];
  map<string, uint32> parts = 4 [(buf.validate.field).map = {
    max_pairs: 1, keys: {string: {min_len: 1}}
  }];
  Kind kind = 5 [(buf.validate.field) = {required: true, enum: {defined_only: true}}];
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_ONE = 1; }
"""


def compiled(root: Path, folder: Path, *protos: str) -> dict[str, FileDescriptorProto]:
    """Compile protos of the project and of `folder` into descriptors, by path."""
    output = folder / "protos.binpb"
    places = [f"--proto_path={root / 'proto'}", f"--proto_path={folder}"]
    flags = ["--include_imports", f"--descriptor_set_out={output}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *places, *flags, *protos]
    subprocess.run(command, check=True)
    return {file.name: file for file in FileDescriptorSet.FromString(output.read_bytes()).file}


def shape(field: FieldDescriptorProto, oneofs: list[str]) -> tuple[object, ...]:
    oneof = oneofs[field.oneof_index] if field.HasField("oneof_index") else ""
    return (field.number, field.type, field.type_name, field.label, oneof)


def facts(file: FileDescriptorProto) -> Iterator[tuple[str, object]]:
    """Name every number and type that the engine reads, extensions and enum values too."""
    for message in file.message_type:
        oneofs = [oneof.name for oneof in message.oneof_decl]
        for field in message.field:
            yield f"{message.name}.{field.name}", shape(field, oneofs)
    for enum in file.enum_type:
        for value in enum.value:
            yield f"{enum.name}.{value.name}", value.number
    for extension in file.extension:
        yield f"{extension.extendee}.{extension.name}", shape(extension, [])


def test_every_number_and_type_is_the_published_one(root: Path, tmp_path: Path) -> None:
    ours = dict(facts(compiled(root, tmp_path, RULES)[RULES]))
    published = dict(facts(FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())))
    assert ours.items() <= published.items()
    assert {".google.protobuf.FieldOptions.field", "StringRules.max_len"} <= ours.keys()


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"name": "abcd"}, "string.max_len"),
        ({"name": ""}, "string.min_len"),
        ({"key": b"abc"}, "bytes.len"),
        ({"counts": [1, 2, 3]}, "repeated.max_items"),
        ({"counts": [1, 1]}, "repeated.unique"),
        ({"counts": [-1]}, "int64.gte"),
        ({"parts": {"a": 1, "b": 2}}, "map.max_pairs"),
        ({"parts": {"": 1}}, "string.min_len"),
        ({"kind": 0}, "required"),
        ({"kind": 7}, "enum.defined_only"),
    ],
)
def test_the_engine_enforces_a_rule_written_with_our_subset(
    root: Path, tmp_path: Path, fields: dict[str, object], broken: str
) -> None:
    (tmp_path / "trial.proto").write_text(TRIAL, "utf-8")
    pool = DescriptorPool()
    for file in compiled(root, tmp_path, "trial.proto").values():
        if file.name != RULES:  # as at run time, where the generated code never loads it
            pool.Add(file)
    named = GetMessageClass(pool.FindMessageTypeByName("trial.Named"))
    right: dict[str, object] = {"name": "abc", "key": b"ab", "kind": 1}
    protovalidate.validate(named(**right))
    with pytest.raises(protovalidate.ValidationError) as refused:
        protovalidate.validate(named(**right | fields))
    assert [violation.proto.rule_id for violation in refused.value.violations] == [broken]


def test_a_rule_outside_our_subset_does_not_compile(root: Path, tmp_path: Path) -> None:
    outside = TRIAL.replace("min_len: 1, max_len: 3", "email: true")
    (tmp_path / "trial.proto").write_text(outside, "utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        compiled(root, tmp_path, "trial.proto")
