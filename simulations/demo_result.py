"""What one demo has shown, and whether that is enough."""

from dataclasses import dataclass
from typing import Literal

from simulations.demo_baselines import Baselines

DISCOVERY: Literal["mdns"] = "mdns"
BELOW_POOLED = 0.05  # what learning together may stay below pooled training
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What one demo has shown; ``together`` is the accuracy of each node's own model at the end."""

    topology: str
    protocol: str
    rounds: int
    seed: int
    baselines: Baselines
    together: tuple[float, ...]
    seconds: float

    @property
    def nodes(self) -> int:
        """How many daemons there were."""
        return len(self.together)

    @property
    def accuracy_alone(self) -> float:
        """Mean over nodes."""
        return sum(self.baselines.alone) / self.nodes

    @property
    def accuracy_together(self) -> float:
        """Mean over nodes."""
        return sum(self.together) / self.nodes

    @property
    def is_target_reached(self) -> bool:
        """Better than alone, and close to pooled training."""
        return self.accuracy_together > max(self.accuracy_alone, self.baselines.pooled - BELOW_POOLED)

    def to_json(self) -> dict[str, object]:
        """One object of plain values; accuracies are means over nodes, ``per_node`` has each."""
        rows = zip(self.baselines.samples, self.baselines.alone, self.together, strict=True)
        return {
            "schema_version": SCHEMA_VERSION,
            "nodes": self.nodes,
            "topology": self.topology,
            "protocol": self.protocol,
            "discovery": DISCOVERY,
            "rounds": self.rounds,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "accuracy_alone": self.accuracy_alone,
            "accuracy_together": self.accuracy_together,
            "accuracy_pooled": self.baselines.pooled,
            "test_samples": self.baselines.test_samples,
            "is_target_reached": self.is_target_reached,
            "per_node": [
                {"node": i, "samples": samples, "accuracy_alone": alone, "accuracy_together": together}
                for i, (samples, alone, together) in enumerate(rows)
            ],
        }
