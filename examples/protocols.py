"""One model in a circle, or averages everywhere? The same data, seed and graph for both.

python examples/protocols.py
"""

import topologies
from simulations import Experiment

graph = topologies.partial_mesh(8, degree=4, seed=1)
for protocol, rounds in (("gossip_averaging", 20), ("cyclic_pass", 160)):
    result = Experiment(
        topology=graph,
        protocol=protocol,
        task="digits_softmax",
        partition={"name": "dirichlet", "alpha": 0.3},
        rounds=rounds,
        evaluate_every=rounds // 10,
        seed=0,
    ).run()
    print(result)
    result.save(f"out/{protocol}")
print("\nside by side: p2pnode sim compare out/gossip_averaging out/cyclic_pass")
