"""What the options of push-sum may be."""

from p2pfl.errors import ConfigError, unknown_name

WEIGHTINGS = ("uniform", "samples")


def check_options(mixing_rounds: object, weighting: str) -> None:
    """Refuse values that mean nothing; raises ConfigError."""
    if isinstance(mixing_rounds, bool) or not isinstance(mixing_rounds, int) or mixing_rounds < 1:
        raise ConfigError(
            f"mixing_rounds = {mixing_rounds!r} is no number of exchanges",
            where="[protocol] mixing_rounds",
            fix="1, 2, 3, …: exchanges after each training",
        )
    if weighting not in WEIGHTINGS:
        raise unknown_name("weighting", str(weighting), WEIGHTINGS, where="[protocol] weighting")
