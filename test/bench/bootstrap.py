"""Compares two recommenders on the same users: the interval of the difference of their mean NDCG@10, users drawn with replacement.

usage: bootstrap.py OURS... -- PEERS...        each a file with a number a user, a line each, in the same order of users

A user's figure is the mean over a side's files (seeds). Prints the mean NDCG@10 and the hit rate of both, then the difference and its 95 %
percentile interval from 10,000 draws. With one target item a user has a hit where NDCG is above 0.
"""
import sys
import numpy as np

RESAMPLES, SEED = 10000, 1
at = sys.argv.index("--")
ours, peers = (np.stack([np.loadtxt(f) for f in files]) for files in (sys.argv[1:at], sys.argv[at + 1:]))
assert ours.shape[1] == peers.shape[1], "the users are not the same"
difference = ours.mean(0) - peers.mean(0)
n, rng = len(difference), np.random.default_rng(SEED)
means = np.array([difference[rng.integers(n, size=n)].mean() for _ in range(RESAMPLES)])
low, high = np.quantile(means, [.025, .975])
print("ours", f"{ours.mean():.6f} {(ours > 0).mean():.6f}")
print("peer", f"{peers.mean():.6f} {(peers > 0).mean():.6f}")
print("difference", f"{difference.mean():.6f} {low:.6f} {high:.6f}")
