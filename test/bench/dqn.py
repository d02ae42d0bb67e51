"""Times a DQN update in PyTorch, sampling included: dqn.py THREADS SECONDS prints the least of so many seconds, in microseconds, with
Adam as PyTorch makes it by default, and the same with its fused implementation.

The network, the loss, Adam and the target network are those of dqn.c; replay is arrays of numpy.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

STATE, ACTIONS, FILL, BATCH, TARGET_EVERY = 4, 2, 10000, 128, 100


def network():
    return nn.Sequential(nn.Linear(STATE, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, ACTIONS))


def least_update(fused, seconds):
    torch.manual_seed(1)
    draw = np.random.default_rng(1)
    state = draw.standard_normal((FILL, STATE), dtype=np.float32)
    next_state = draw.standard_normal((FILL, STATE), dtype=np.float32)
    action = draw.integers(0, ACTIONS, FILL)
    reward = np.ones(FILL, np.float32)
    terminated = (np.arange(FILL) % 50 == 49).astype(np.float32)
    q, target = network(), network()
    target.load_state_dict(q.state_dict())
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3, fused=fused)
    loss_of = nn.SmoothL1Loss()

    def update(step):
        i = draw.integers(0, FILL, BATCH)
        s, s2, a, r, end = (torch.from_numpy(x[i]) for x in (state, next_state, action, reward, terminated))
        with torch.no_grad():
            wanted = r + 0.99 * (1 - end) * target(s2).max(1).values
        loss = loss_of(q(s).gather(1, a.unsqueeze(1)).squeeze(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % TARGET_EVERY == 0:
            target.load_state_dict(q.state_dict())

    least = float("inf")
    start = time.perf_counter()
    step = 0
    while time.perf_counter() < start + seconds:
        began = time.perf_counter()
        update(step)
        least = min(least, time.perf_counter() - began)
        step += 1
    return least


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print(*(f"{least_update(fused, float(sys.argv[2]) / 2) * 1e6:.2f}" for fused in (None, True)))


main()
