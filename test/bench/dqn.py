"""Times a DQN update in PyTorch, sampling included: dqn.py THREADS BLOCKS prints the least mean of a block of 10, in microseconds.

The network, the loss, Adam and the target network are those of dqn.c; replay is arrays of numpy.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

STATE, ACTIONS, FILL, BATCH, STEPS, TARGET_EVERY = 4, 2, 10000, 128, 10, 100


def network():
    return nn.Sequential(nn.Linear(STATE, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, ACTIONS))


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    draw = np.random.default_rng(1)
    state = draw.standard_normal((FILL, STATE), dtype=np.float32)
    next_state = draw.standard_normal((FILL, STATE), dtype=np.float32)
    action = draw.integers(0, ACTIONS, FILL)
    reward = np.ones(FILL, np.float32)
    terminated = (np.arange(FILL) % 50 == 49).astype(np.float32)
    q, target = network(), network()
    target.load_state_dict(q.state_dict())
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
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
    for block in range(int(sys.argv[2])):
        began = time.perf_counter()
        for step in range(STEPS):
            update(block * STEPS + step)
        if block >= 5:
            least = min(least, (time.perf_counter() - began) / STEPS)
    print(f"{least * 1e6:.2f}")


main()
