"""What we use of ruamel.yaml, which is typed in part only."""

from collections.abc import Iterator
from typing import TextIO

from ruamel.yaml.events import Event
from ruamel.yaml.representer import SafeRepresenter

class YAML:
    Representer: type[SafeRepresenter]
    default_flow_style: bool | None
    sort_base_mapping_type_on_output: bool | None
    width: int | None
    def __init__(self, *, typ: str, pure: bool) -> None: ...
    def parse(self, stream: TextIO) -> Iterator[Event]: ...
    def load(self, stream: str) -> object: ...
    def dump(self, data: object, stream: TextIO) -> None: ...
