"""The interquartile mean of the numbers in the input, one a seed, and its 95 % percentile interval from 10,000 draws of the seeds."""
import sys
import numpy as np

RESAMPLES, SEED = 10000, 1


def interquartile(values):
    """Of (...,n): the mean without a quarter of the values, rounded down, at either end."""
    values, cut = np.sort(values, axis=-1), values.shape[-1] // 4
    return values[..., cut:values.shape[-1] - cut].mean(-1)


numbers = np.loadtxt(sys.stdin, ndmin=1)
drawn = numbers[np.random.default_rng(SEED).integers(len(numbers), size=(RESAMPLES, len(numbers)))]
print(f"{interquartile(numbers):.1f}", *(f"{bound:.1f}" for bound in np.quantile(interquartile(drawn), [.025, .975])))
