"""What test/bench/bandit has in Python: scikit-learn's digits, Vowpal Wabbit, and the table.

    bandit.py digits                              id, context and label of each digit, as COPY reads them
    bandit.py peer NAME LOGGED ARGUMENTS <rounds  plays Vowpal Wabbit; prints the result as COPY reads it
    bandit.py table LOGGED <result                rows of the page; ends with status 1 when linucb or lints is not above the best static policy

Rounds are seed, n, context, label and the action of the log, in order; a result is policy, seed, logged, mean reward.
"""
import random
import statistics
import sys

ACTIONS = 10
STATIC = ('random', 'one action', 'ridge regression on the log', 'Vowpal Wabbit on the log')
OURS = ('linucb', 'lints')


def digits():
    from sklearn.datasets import load_digits
    data = load_digits()
    for number, (pixels, label) in enumerate(zip(data.data, data.target)):
        print(number, '{' + ','.join(str(pixel / 16) for pixel in pixels) + '}', label, sep='\t')


def example(context, chosen=None, reward=0, propensity=1):
    """A round in Vowpal Wabbit's format: what is shown, then the actions, the chosen one with its cost."""
    lines = ['shared |S ' + ' '.join(f'{i}:{x}' for i, x in enumerate(context) if x)]
    for action in range(ACTIONS):
        label = f'{action}:{-reward}:{propensity} ' if action == chosen else ''
        lines.append(f'{label}|A a{action}')
    return '\n'.join(lines)


def draw(p, uniform):
    left = uniform * sum(p)
    for action in range(ACTIONS - 1):
        left -= p[action]
        if left < 0:
            return action
    return ACTIONS - 1


def play(arguments, seed, rounds, logged, frozen):
    """Mean reward after the log. A frozen one learns of the log only, in ten passes."""
    import vowpalwabbit
    workspace = vowpalwabbit.Workspace(f'{arguments} -q SA --quiet --random_seed {seed}')
    generator = random.Random(seed)
    log = [example(context, action, float(action == label), 1 / ACTIONS) for context, label, action in rounds[:logged]]
    for line in log * (10 if frozen else 1):
        workspace.learn(line)
    rewards = []
    for context, label, _ in rounds[logged:]:
        p = workspace.predict(example(context))
        action = draw(p, generator.random())
        rewards.append(float(action == label))
        if not frozen:
            workspace.learn(example(context, action, rewards[-1], p[action]))
    workspace.finish()
    return statistics.fmean(rewards)


def peer(name, logged, arguments):
    rounds = {}
    for line in sys.stdin:
        seed, _, context, label, action = line.rstrip('\n').split('\t')
        rounds.setdefault(int(seed), []).append(([float(x) for x in context.strip('{}').split(',')], int(label), int(action)))
    for seed, of_seed in rounds.items():
        print(name, seed, logged, play(arguments, seed, of_seed, logged, name in STATIC), sep='\t', flush=True)


def interval(values):
    """Mean and the ends of its 95 % interval by Student's t."""
    from scipy.stats import t
    mean = statistics.fmean(values)
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float('inf')
    return mean, mean - half, mean + half


def table(logged):
    rewards = {}
    for line in sys.stdin:
        policy, seed, of_logged, reward = line.rstrip('\n').split('\t')
        if int(of_logged) == logged:
            rewards.setdefault(policy, {})[int(seed)] = float(reward)
    best = max((policy for policy in rewards if policy in STATIC), key=lambda policy: statistics.fmean(rewards[policy].values()))
    missed = False
    for policy, of_seed in sorted(rewards.items(), key=lambda item: -statistics.fmean(item[1].values())):
        line = '| {} | {:.4f} [{:.4f}, {:.4f}] |'.format(policy, *interval(of_seed.values()))
        if policy == best:
            line += ' best of the static ones | |'
        else:
            difference = interval([reward - rewards[best][seed] for seed, reward in of_seed.items()])
            met = '' if policy not in OURS else 'yes' if difference[1] > 0 else 'NO'
            missed = missed or met == 'NO'
            line += ' {:+.4f} [{:+.4f}, {:+.4f}] | {} |'.format(*difference, met)
        print(line)
    return missed


if sys.argv[1] == 'digits':
    digits()
elif sys.argv[1] == 'peer':
    peer(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    sys.exit(table(int(sys.argv[2])))
