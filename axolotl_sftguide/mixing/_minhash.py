"""The shingles of a conversation, and the bands of their MinHash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MixError
from ._columns import Hashes
from ._random import splitmix
from ._words import ngrams_of, texts_of

BANDS = 25
_WIDTH = 4
"""With 25 bands of 4 hashes, 99.9% of the pairs with a similarity of 0.7 are compared,
and 97% of those with 0.6."""

_SHINGLE = 5
"""The words of a shingle."""
_SEED = 1


def shingles_of(conversation: Mapping[str, Any]) -> Hashes:
    """The sorted hashes of all sequences of five words."""
    return ngrams_of(texts_of(conversation), _SHINGLE)


def jaccard(one: Hashes, other: Hashes) -> float:
    """The share of the elements of two sets that both have."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    either = len(one) + len(other) - both
    return both / either if either else 0.0


def bands_of(conversation: Mapping[str, Any]) -> NDArray[np.uint32]:
    """The bands of a row's MinHash, one number each.

    Raises:
        MixError: If `rensa` is not installed.
    """
    try:
        from rensa import RMinHash
    except ImportError:
        raise MixError(
            "near_duplicates needs rensa; pip install 'axolotl-sftguide[mix]'"
        ) from None
    shingles = shingles_of(conversation)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles, [0, len(shingles)], BANDS * _WIDTH, _SEED
    )
    digest = np.array(matrix.to_rows()[0], np.uint64).reshape(BANDS, _WIDTH)
    found = np.zeros(BANDS, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(_WIDTH):
            found = splitmix(found ^ digest[:, place])
    return (found >> np.uint64(32)).astype(np.uint32)
