"""Pictures channel by channel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference.planes import largest_channel, planes


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_planes_are_the_channels_divided_by_255(image):
    made = planes(image)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, image.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


def test_planes_are_written_into_the_array_that_is_given():
    out = np.zeros((2, 3, 4, 5), np.float32)
    assert planes(np.full((4, 5, 3), 255, np.uint8), out[1]).base is out
    assert out[1].min() == 1
    assert not out[0].any()


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_the_largest_channel_is_numpys_maximum(values):
    np.testing.assert_array_equal(largest_channel(values), values.max(axis=2))
