"""The Open Bandit Pipeline (obp 0.5.7) on its Open Bandit data, each row of test/ope/men.csv as often as it says times `copies`.

usage: ope.py MEN_CSV REPLICATES COPIES...
prints "value ESTIMATOR VALUE" of one copy, and for each number of copies "point COPIES ESTIMATOR MS", "bootstrap COPIES ESTIMATOR MS"
and "width COPIES ESTIMATOR WIDTH" of its bootstrap interval
"""
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)

ESTIMATORS = {
    "ips": InverseProbabilityWeighting(),
    "clipped_ips": InverseProbabilityWeighting(lambda_=5),
    "snips": SelfNormalizedInverseProbabilityWeighting(),
    "dm": DirectMethod(),
    "dr": DoublyRobust(),
    "sndr": SelfNormalizedDoublyRobust(),
    "switch_dr": SwitchDoublyRobust(lambda_=5),
    "dr_os": DoublyRobustWithShrinkage(lambda_=10),
}

counted = np.genfromtxt(sys.argv[1], delimiter=",", names=True)
replicates = int(sys.argv[2])
action, position = counted["action"].astype(int), counted["position"].astype(int)
policy = np.zeros((action.max() + 1, position.max() + 1))
policy[action, position] = counted["pi"]
model = np.zeros(policy.shape[0])
model[action] = counted["q_action"]

for copies in map(int, sys.argv[3:]):
    rows = np.repeat(np.arange(len(counted)), counted["n"].astype(int) * copies)
    log = dict(
        reward=counted["reward"][rows],
        action=action[rows],
        position=position[rows],
        pscore=counted["pscore"][rows],
        action_dist=np.ascontiguousarray(np.broadcast_to(policy, (len(rows), *policy.shape))),
        estimated_rewards_by_reg_model=np.ascontiguousarray(
            np.broadcast_to(model[None, :, None], (len(rows), *policy.shape))
        ),
    )
    for name, estimator in ESTIMATORS.items():
        start = time.perf_counter()
        value = estimator.estimate_policy_value(**log)
        point = time.perf_counter()
        interval = estimator.estimate_interval(**log, n_bootstrap_samples=replicates, random_state=1)
        end = time.perf_counter()
        if copies == 1:
            print("value", name, repr(float(value)))
        print("point", copies, name, (point - start) * 1000)
        print("bootstrap", copies, name, (end - point) * 1000)
        print("width", copies, name, interval["95.0% CI (upper)"] - interval["95.0% CI (lower)"])
