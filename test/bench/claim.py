"""Tests whether one policy's lists are above others' in precision, recall, coverage and novelty at once, and draws the trade-off.

usage: claim.py DIRECTORY WEIGHT RECOMMENDERS DATA...

Of each DATA the directory has DATA.train and DATA.test (lines of a user and an item), and lists of at most 10 items a user, best first, in
lines of the same form: DATA.NAME of each of the recommenders (a,b,c) and DATA.policy.W of the policy at each weight W. Tests the policy
at WEIGHT against every recommender that has at least half the best recall of them, prints Markdown, and leaves DATA.front (W, recall,
coverage, novelty, a line a weight) and DATA.points (the same of the recommenders, by name) in the directory.

Every test is a paired randomisation over users (Smucker, Allan, Carterette 2007): under the null hypothesis a user's two lists could have
come from either side, so they are swapped at random, 10,000 times, and p is the share of swaps whose difference is at least the one
observed. It holds for coverage too, which is no mean over users. All p, of all data together, are corrected by Holm's method.
"""
import glob
import sys
import numpy as np

K, SWAPS, SEED, ALPHA = 10, 10000, 1, .05
TITLES = {"ml_100k": "ML-100K", "ml_1m": "ML-1M", "ml_100k_time": "ML-100K, cut at one time"}
TESTED = "precision", "recall", "coverage", "novelty"
directory, declared, recommenders, names = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4:]


def read(path):
    return np.loadtxt(path, dtype=np.int64, ndmin=2)


class Data:
    def __init__(self, name):
        train, test = read(f"{directory}/{name}.train"), read(f"{directory}/{name}.test")
        self.name = name
        self.items = np.unique(np.concatenate([train, test])[:, 1])
        self.users = np.unique(test[:, 0])
        everybody = np.unique(train[:, 0])
        had = np.zeros((len(everybody), len(self.items)), np.float32)
        had[np.searchsorted(everybody, train[:, 0]), self.column(train)] = 1
        count = had.sum(0)
        self.information = -np.log2(np.maximum(count, 1) / len(everybody))
        length = np.sqrt(np.maximum(count, 1))
        self.cosine = had.T @ had / length / length[:, None]
        self.liked = np.zeros((len(self.users), len(self.items)), bool)
        self.liked[np.searchsorted(self.users, test[:, 0]), self.column(test)] = True

    def column(self, pairs):
        return np.searchsorted(self.items, pairs[:, 1])

    def lists(self, name):
        """(users,K) columns of items"""
        pairs = read(f"{directory}/{self.name}.{name}")
        pairs = pairs[np.isin(pairs[:, 0], self.users)]
        assert (np.bincount(np.searchsorted(self.users, pairs[:, 0]), minlength=len(self.users)) == K).all(), "a list is not of 10 items"
        return self.column(pairs[np.argsort(pairs[:, 0], kind="stable")]).reshape(-1, K)

    def figures(self, lists):
        """Of each user, but for coverage; docs/evaluation.md has the definitions."""
        hits, tests = np.take_along_axis(self.liked, lists, 1), self.liked.sum(1)
        gain = 1 / np.log2(np.arange(K) + 2)
        pairs = np.triu_indices(K, 1)
        return {
            "precision": hits.mean(1), "recall": hits.sum(1) / tests, "coverage": len(np.unique(lists)) / len(self.items),
            "novelty": self.information[lists].mean(1), "ndcg": hits @ gain / np.cumsum(gain)[np.minimum(K, tests) - 1],
            "diversity": 1 - self.cosine[lists[:, pairs[0]], lists[:, pairs[1]]].mean(1)}


def randomise(data, policy, other):
    """p of each of TESTED, one-sided."""
    ours, theirs = data.figures(policy), data.figures(other)
    means = [m for m in TESTED if m != "coverage"]
    difference = np.stack([ours[m] - theirs[m] for m in means], 1)
    observed = np.append(difference.sum(0), len(np.unique(policy)) - len(np.unique(other)))
    rng, reached = np.random.default_rng(SEED), np.zeros(len(TESTED), int)
    for _ in range(SWAPS):
        keep = rng.random(len(policy)) < .5
        shown = np.zeros((2, len(data.items)), bool)
        for side, (kept, swapped) in enumerate([(policy, other), (other, policy)]):
            shown[side, kept[keep]] = shown[side, swapped[~keep]] = True
        drawn = np.append((2 * keep - 1) @ difference, shown[0].sum() - shown[1].sum())
        reached += drawn >= observed - 1e-9
    p = (1 + reached) / (1 + SWAPS)
    return dict(zip(means + ["coverage"], p))


def holm(p):
    """{key: p} adjusted"""
    adjusted, least = {}, 0
    for rank, key in enumerate(sorted(p, key=p.get)):
        least = max(least, min(1, (len(p) - rank) * p[key]))
        adjusted[key] = least
    return adjusted


def mean(figures, metric):
    return np.mean(figures[metric])


def cells(figures):
    return " | ".join(f"{mean(figures, m):.4f}" if m != "novelty" else f"{mean(figures, m):.3f}"
                      for m in TESTED + ("ndcg", "diversity"))


data, p, tables = [Data(name) for name in names], {}, {}
for d in data:
    policy = d.lists(f"policy.{declared}")
    lists = {r: d.lists(r) for r in recommenders}
    figures = {r: d.figures(lists[r]) for r in recommenders}
    most = max(mean(f, "recall") for f in figures.values())
    rivals = [r for r in recommenders if mean(figures[r], "recall") >= most / 2]
    tables[d.name] = d.figures(policy), figures, rivals
    for r in rivals:
        p.update({(d.name, r, m): v for m, v in randomise(d, policy, lists[r]).items()})
adjusted = holm(p)

HEAD = ("| | precision | recall | coverage | novelty | NDCG | diversity | p: " + " | ".join(TESTED) + " | policy above on all four |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|")
for d in data:
    ours, figures, rivals = tables[d.name]
    print(f"\n### {TITLES[d.name]}: {len(d.users)} users, {len(d.items)} items, {d.liked.sum() / len(d.users):.1f} test items a user\n")
    print(HEAD)
    print(f"| **policy, weight {declared}** | {cells(ours)} | | | | | |")
    for r in recommenders:
        if r not in rivals:
            print(f"| {r} | {cells(figures[r])} | | | | | not compared: recall below half of the best |")
            continue
        values = [adjusted[d.name, r, m] for m in TESTED]
        above = all(v < ALPHA for v in values)
        print(f"| {r} | {cells(figures[r])} | {' | '.join(f'{v:.4f}' for v in values)} | {'yes' if above else 'NO'} |")
    print("\n| policy, weight | precision | recall | coverage | novelty | NDCG | diversity |\n|---|---|---|---|---|---|---|")
    weights = sorted((f.rsplit(f"{d.name}.policy.", 1)[1] for f in glob.glob(f"{directory}/{d.name}.policy.*")), key=float)
    with open(f"{directory}/{d.name}.front", "w") as front:
        for w in weights:
            f = d.figures(d.lists(f"policy.{w}"))
            print(f"| {w} | {cells(f)} |")
            print(w, *(mean(f, m) for m in TESTED[1:]), file=front)
    with open(f"{directory}/{d.name}.points", "w") as points:
        for r in recommenders:
            print(r, *(mean(figures[r], m) for m in TESTED[1:]), file=points)
