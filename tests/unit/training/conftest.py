"""Work that whole runs repeat, done once a process: tokeniser texts and phantom pixels."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from echo_node.inference.image import ImagePreparation
from training.examples import examples
from training.phantom.dataset import PhantomDataset
from training.recipe import DataRecipe
from training.start import start

_rendered, _reports = examples._rendered, start._reports


@cache
def _rendered_once(count: int, seed: int, size: int) -> examples.Images:
    return _rendered(PhantomDataset(count, seed, size), None)


@cache
def _reports_once(seed: int) -> tuple[str, ...]:
    return tuple(_reports(DataRecipe(count=1, seed=seed), ImagePreparation()))


@pytest.fixture(autouse=True)
def _done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def rendered(dataset: PhantomDataset, advance: Callable[[int], None] | None) -> examples.Images:
        images = _rendered_once(len(dataset), dataset.seed, dataset.size)
        if advance is not None:
            advance(len(dataset))
        return images.copy()

    def reports(recipe: DataRecipe, preparation: ImagePreparation) -> Iterator[str]:
        if recipe.source == "folder":
            return _reports(recipe, preparation)
        return iter(_reports_once(recipe.seed))

    monkeypatch.setattr(examples, "_rendered", rendered)
    monkeypatch.setattr(start, "_reports", reports)


@pytest.fixture
def rendered_each_time(_done_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Render the phantoms of each run, as outside the tests."""
    monkeypatch.setattr(examples, "_rendered", _rendered)
