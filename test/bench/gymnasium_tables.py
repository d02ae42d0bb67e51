"""Prints Gymnasium's transition probabilities as tab-separated rows: table, state, action, probability, next state, reward, terminated."""
import gymnasium

LAKE = ["left", "down", "right", "up"]
CLIFF = ["up", "right", "down", "left"]
TAXI = ["south", "north", "east", "west", "pickup", "dropoff"]
TABLES = {
    "frozen_lake_4x4": ("FrozenLake-v1", {"map_name": "4x4"}, LAKE),
    "frozen_lake_8x8": ("FrozenLake-v1", {"map_name": "8x8"}, LAKE),
    "cliff_walking": ("CliffWalking-v1", {}, CLIFF),
    "cliff_walking_slippery": ("CliffWalking-v1", {"is_slippery": True}, CLIFF),
    "taxi": ("Taxi-v4", {}, TAXI),
}
for table, (name, options, actions) in TABLES.items():
    for state, choices in gymnasium.make(name, **options).unwrapped.P.items():
        for action, outcomes in choices.items():
            for probability, following, reward, terminated in outcomes:
                print(table, state, actions[action], float(probability), following, reward, bool(terminated), sep="\t")
