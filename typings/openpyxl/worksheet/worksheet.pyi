from collections.abc import Iterator, Sequence

from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation

class Dimension:
    number_format: str
    width: float

class Cell:
    font: Font

class Worksheet:
    title: str
    freeze_panes: str
    column_dimensions: dict[str, Dimension]
    def append(self, iterable: Sequence[object]) -> None: ...
    def cell(self, row: int, column: int) -> Cell: ...
    def add_data_validation(self, data_validation: DataValidation) -> None: ...
    def iter_rows(self, *, values_only: bool) -> Iterator[tuple[object, ...]]: ...
    def reset_dimensions(self) -> None: ...
