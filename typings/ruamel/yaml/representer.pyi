from collections.abc import Callable
from typing import Self, TypeVar

from ruamel.yaml.nodes import ScalarNode

_T = TypeVar("_T")

class SafeRepresenter:
    @classmethod
    def add_representer(
        cls, data_type: type[_T], representer: Callable[[Self, _T], ScalarNode]
    ) -> None: ...
    def ignore_aliases(self, data: object) -> bool: ...
    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> ScalarNode: ...
