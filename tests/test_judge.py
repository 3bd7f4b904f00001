"""Length and rightness of decoded answers, against the codecs' own decoding."""

import brain_cases
import numpy as np
import pytest

from grapheme_numba.kernels.codec.decode import judge


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.6])
def test_against_decoding_one_by_one(rng, noise):
    layout = brain_cases.layout()
    batch = brain_cases.batch(rng, 200)
    outputs = batch.targets + rng.normal(size=batch.targets.shape).astype(np.float32) * noise
    length, right = np.empty(200, np.int32), np.empty(200, np.bool_)
    judge(batch.domain, outputs, batch.targets, batch.n_active, layout.answers, length, right)
    for row, domain in enumerate(batch.domain.tolist()):
        (answer,), _ = layout.decode(domain, outputs[row : row + 1])
        fits = batch.n_active[row] > 0
        assert right[row] == (fits and answer == batch.answers[row])
        if "\N{REPLACEMENT CHARACTER}" not in answer:
            assert length[row] == len(answer)
    assert right.any()
    if noise == 0.0:
        assert np.array_equal(right, batch.n_active > 0)
        assert np.array_equal(length[right], batch.answer_length[right])
    if noise == 0.6:
        assert not right.all()
