"""The values that test/pgtap/ope.sql expects of slates and of clusters, by the Open Bandit Pipeline (obp 0.5.7) from the same rows.

usage: ope_slates.py, with obp where Python looks; prints a line an estimator. The rows are made from whole numbers, as the test makes
them in SQL, so that both have the same to the last bit: 500 slates of 3 places, whose items are 4, in 2 clusters.
"""
import warnings

warnings.filterwarnings("ignore")

import numpy as np
from obp.ope import (
    MarginalizedInverseProbabilityWeighting,
    SlateCascadeDoublyRobust,
    SlateIndependentIPS,
    SlateRewardInteractionIPS,
    SlateStandardIPS,
)

SLATES, PLACES, ITEMS = 500, 3, 4

i, l, a = np.meshgrid(np.arange(SLATES), np.arange(PLACES), np.arange(ITEMS), indexing="ij")
logged = 1 + (i * 7919 + l * 104729 + a * 1299709) % 17
target = 1 + (i * 6271 + l * 7907 + a * 3571) % 23
logged = logged / logged.sum(2, keepdims=True)
target = target / target.sum(2, keepdims=True)
q = (i * 31 + l * 17 + a * 13) % 11 / 10
i, l = i[:, :, 0], l[:, :, 0]
action = (i * 5 + l * 3 + i // 7) % ITEMS
reward = np.where((i * 13 + l * 7 + i // 3) % 5 < 2, 1.0 + (i + l) % 3, 0.0)


def of_action(values):
    return np.take_along_axis(values, action[:, :, None], 2)[:, :, 0]


rows = dict(slate_id=i.ravel(), position=l.ravel(), reward=reward.ravel())
conditional = of_action(logged), of_action(target)
prefix = [np.cumprod(p, 1) for p in conditional]
whole = [np.repeat(p[:, -1], PLACES) for p in prefix]
cascade = dict(pscore_cascade=prefix[0].ravel(), evaluation_policy_pscore_cascade=prefix[1].ravel())

estimates = {
    "slate_ips": SlateStandardIPS(len_list=PLACES).estimate_policy_value(
        **rows, pscore=whole[0], evaluation_policy_pscore=whole[1]
    ),
    "slate_iips": SlateIndependentIPS(len_list=PLACES).estimate_policy_value(
        **rows,
        pscore_item_position=conditional[0].ravel(),
        evaluation_policy_pscore_item_position=conditional[1].ravel(),
    ),
    "slate_rips": SlateRewardInteractionIPS(len_list=PLACES).estimate_policy_value(**rows, **cascade),
    "slate_cascade_dr": SlateCascadeDoublyRobust(len_list=PLACES, n_unique_action=ITEMS).estimate_policy_value(
        **rows, **cascade, action=action.ravel(), q_hat=q.ravel(), evaluation_policy_action_dist=target.ravel()
    ),
    # of the first place: clusters are {0, 1} and {2, 3}
    "mips": MarginalizedInverseProbabilityWeighting(n_actions=ITEMS).estimate_policy_value(
        reward=reward[:, 0],
        action=action[:, 0],
        action_embed=action[:, :1] // 2,
        pi_b=logged[:, 0, :, None],
        action_dist=target[:, 0, :, None],
        p_e_a=np.repeat(np.eye(2), 2, axis=0)[:, :, None],
    ),
}
for name, value in estimates.items():
    print(name, repr(float(value)))
