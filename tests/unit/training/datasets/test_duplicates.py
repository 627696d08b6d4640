import numpy as np
import pytest
from PIL import Image

from echo_node.domain.studies.study import GreyImage
from training.datasets.duplicates import NEAR_BITS, NEAR_FINE_BITS, SeenImages
from training.datasets.images import COARSE_BYTES, FINE_BYTES, image_hash
from training.phantom.dataset import PhantomDataset

COARSE, FINE = 8 * COARSE_BYTES, 8 * FINE_BYTES
HASH_BYTES = COARSE_BYTES + FINE_BYTES


def flipped(value: bytes, places: list[int]) -> bytes:
    number = int.from_bytes(value)
    for place in places:
        number ^= 1 << place
    return number.to_bytes(HASH_BYTES)


@pytest.mark.parametrize("seed", range(20))
def test_every_hash_within_reach_is_found_wherever_its_bits_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = SeenImages()
    original = rng.bytes(HASH_BYTES)
    for _ in range(50):
        seen.add(rng.bytes(HASH_BYTES), "train", "other")
    seen.add(original, "train", "Clear.")
    coarse, fine = (FINE + rng.permutation(COARSE)).tolist(), rng.permutation(FINE).tolist()
    near = flipped(original, coarse[:NEAR_BITS] + fine[:NEAR_FINE_BITS])
    far_coarse = flipped(original, coarse[: NEAR_BITS + 1])
    far_fine = flipped(original, fine[: NEAR_FINE_BITS + 1])
    assert seen.repeats(near, "train", " CLEAR") == "near-duplicate of an image with the same report"
    assert seen.repeats(near, "test", "Other words.") == "near-duplicate of an image in another split"
    assert seen.repeats(near, "train", "Other words.") == ""
    assert seen.repeats(far_coarse, "test", "Clear.") == ""
    assert seen.repeats(far_fine, "test", "Clear.") == ""


def test_a_chest_is_known_again_in_another_size_and_others_are_not() -> None:
    phantoms = PhantomDataset(4, 5, 256)
    images = [Image.fromarray(phantoms[index].image, "L") for index in range(4)]
    hashes = [image_hash(GreyImage(256, 256, image.tobytes())) for image in images]
    seen = SeenImages()
    seen.add(hashes[0], "train", "a")
    smaller = images[0].resize((200, 200), Image.Resampling.BICUBIC)
    assert seen.repeats(image_hash(GreyImage(200, 200, smaller.tobytes())), "test", "b")
    assert not any(seen.repeats(each, "test", "b") for each in hashes[1:])
