"""Tasks on files that the operator names: one table of options for the data, the model and the training.

[task]
name = "idx"
path = "~/fashion-mnist"    # of the data
model = "cnn"               # of the module
batch_size = 32             # of the training
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cache, partial

from torch import nn

from p2pfl.data.dataset import Dataset
from p2pfl.errors import ConfigError
from p2pfl.learning.task import Task


@dataclass(frozen=True, slots=True)
class FileTask:
    """Makes a ``Task``; its options are the keyword-only parameters of its three parts.

    ``dataset(*, path, ...)`` reads the files, ``module(dataset, *, ...)`` makes a module that fits them, and
    ``Task.with_options`` knows the training, for which ``training`` has other defaults.
    """

    name: str
    _: KW_ONLY
    dataset: Callable[..., Dataset]
    module: Callable[..., nn.Module]
    training: Mapping[str, int | float] = field(default_factory=dict)

    def __call__(self, **options: object) -> Task:
        """The task with these options; the files are read when they are first asked for, and once."""
        self._check(options)
        load = cache(partial(self.dataset, **_of(self.dataset, options)))
        build = partial(self.module, **_of(self.module, options))
        task = Task(self.name, module=lambda: build(load()), dataset=load)
        given = {key: value for key, value in _of(Task.with_options, options).items() if value is not None}
        return task.with_options(**{**self.training, **given})  # type: ignore[arg-type]

    @property
    def __signature__(self) -> inspect.Signature:
        """What a config may say, for those who ask ``inspect``."""
        parts = (self.dataset, self.module, Task.with_options)
        return inspect.Signature([one for part in parts for one in _keywords(part).values()])

    def _check(self, options: Mapping[str, object]) -> None:
        """Say in the operator's words what Python would say in its own."""
        known = inspect.signature(self).parameters
        for option, parameter in known.items():
            if parameter.default is parameter.empty and option not in options:
                raise ConfigError(
                    f"task {self.name!r} needs the option {option!r}",
                    where=f"task.{option}",
                    fix=f'{option} = "…" in the section [task]',
                )
        if unknown := sorted(set(options) - set(known)):
            raise TypeError(f"task {self.name!r} has no option {unknown[0]!r}")


def _keywords(part: Callable[..., object]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(part).parameters
    return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}


def _of(part: Callable[..., object], options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if name in _keywords(part)}
