"""Trains an rlrec agent in Gymnasium's CartPole-v1 and tells how well it then acts greedily.

usage: cartpole.py LABEL LEARNER SEED STEPS OPTIONS

Trains for STEPS steps of the environment, then acts for 100 episodes without exploring. Writes the lengths of the training's episodes into
the table cartpole_episode, prints: label, seed, steps, mean return of the 100, seconds of training.
"""
import json
import sys
import time
import gymnasium
from agent import Agent

ACTIONS = ["left", "right"]
EVALUATED = 100

label, learner, seed, steps, options = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5])
agent = Agent(f"{label}_{seed}", learner, {"actions": ACTIONS, "state_size": 4, "seed": seed, **options})
environment = gymnasium.make("CartPole-v1")


def episode(number, seed, explore, most=None):
    """The return of one episode, cut off after so many steps."""
    total, ended = 0, False
    state = environment.reset(seed=seed)[0].tolist()
    while not ended:
        action, propensity = agent.act(state, explore)
        following, reward, terminated, truncated, _ = environment.step(ACTIONS.index(action))
        following, total = following.tolist(), total + reward
        truncated = bool(truncated) or total == most
        if explore:
            agent.observe(state, action, reward, following, bool(terminated), truncated, number, propensity)
        state, ended = following, terminated or truncated
    return total


began, done, lengths = time.monotonic(), 0, []
while done < steps:
    length = int(episode(len(lengths), seed * 1000000 + len(lengths), True, steps - done))
    done += length
    lengths.append((label, seed, done, length))
agent.commit()
seconds = time.monotonic() - began
with agent.cursor.copy("COPY cartpole_episode (learner, seed, step, length) FROM STDIN") as copy:
    for row in lengths:
        copy.write_row(row)
mean = sum(episode(0, 900000000 + number, False) for number in range(EVALUATED)) / EVALUATED
agent.commit()
print(label, seed, done, f"{mean:.2f} {seconds:.1f}", flush=True)
