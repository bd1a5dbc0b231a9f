"""What the options of push-sum may be."""

from dataclasses import dataclass

from p2pfl.errors import ConfigError, unknown_name

WEIGHTINGS = ("uniform", "samples")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of push-sum; raises ConfigError for values that mean nothing."""

    mixing_rounds: int
    weighting: str
    round_timeout_s: float
    patience_deviations: float

    def __post_init__(self) -> None:
        found: object = self.mixing_rounds  # what a config file may hold
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise ConfigError(
                f"mixing_rounds = {found!r} is no number of exchanges",
                where="[protocol] mixing_rounds",
                fix="1, 2, 3, …: exchanges after each training",
            )
        if self.weighting not in WEIGHTINGS:
            raise unknown_name("weighting", str(self.weighting), WEIGHTINGS, where="[protocol] weighting")
