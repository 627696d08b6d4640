"""What all tests share: the marker `peer_dies`."""

import gc
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for pynetdicom, which closes no socket whose peer has gone: it ends with its last reference."""
    for item in items:
        if item.get_closest_marker("peer_dies"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.usefixtures("_collected"))


@pytest.fixture
def _collected() -> Iterator[None]:
    """Collect what is left while the warning is still ignored, so that no later test is blamed."""
    yield
    gc.collect()
