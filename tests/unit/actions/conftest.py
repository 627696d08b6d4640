from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stored_node import StoredNode, stored_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoredNode]:
    with stored_node(tmp_path) as opened:
        yield opened
