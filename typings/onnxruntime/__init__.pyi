from collections.abc import Mapping, Sequence

import numpy as np

class InferenceSession:
    def __init__(self, path_or_bytes: bytes) -> None: ...
    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]: ...
