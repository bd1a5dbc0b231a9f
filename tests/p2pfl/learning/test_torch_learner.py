import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from p2pfl.data.dataset import Dataset
from p2pfl.learning import flat
from p2pfl.learning.learner import LearnerSetup, TrainingState
from p2pfl.learning.task import Task
from p2pfl.learning.tasks import digits
from p2pfl.learning.torch_learner import TorchLearner
from p2pfl.model import Model

ROWS = 40


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 10))


def small_digits() -> Dataset:
    full = digits.dataset()
    return Dataset(full.train.take(np.arange(ROWS)), full.test, full.classes)


# Whatever a module can bring: integer buffers, running means, random layers.
everything = Task("everything", module=normalised, dataset=small_digits, momentum=0.9, local_epochs=1)
linear = Task(
    "linear", module=lambda: nn.Linear(64, 10), dataset=small_digits, batch_size=ROWS, local_steps=1
)


def make(task: Task, setup: LearnerSetup | None = None, rows: slice = slice(None)) -> TorchLearner:
    dataset = task.dataset()
    return task.learner(dataset.train.take(np.arange(ROWS)[rows]), dataset.test, setup or LearnerSetup())


def train(learner: TorchLearner, times: int, *, carries: bool = True) -> tuple[Model, TrainingState]:
    model = learner.initial()
    state: TrainingState = {}
    for _ in range(times):
        model, state = learner.train(model, state if carries else {})
    return model, state


def test_training_is_a_function_of_model_and_state_whatever_was_done_between() -> None:
    learner = make(everything)
    model, state = train(learner, 2)
    first, first_state = learner.train(model, state)

    learner.train(learner.initial(), {})
    learner.evaluate(model)
    torch.rand(3)
    again, again_state = learner.train(model, state)
    elsewhere, _ = make(everything).train(model, state)

    assert first.params.tobytes() == again.params.tobytes() == elsewhere.params.tobytes()
    assert first_state.keys() == again_state.keys()
    assert all(first_state[name].tobytes() == again_state[name].tobytes() for name in first_state)


def test_integer_buffers_stay_at_the_node_and_float_buffers_travel() -> None:
    learner = make(everything)
    model, state = train(learner, 2)
    names = [name for name, _, _ in learner.schema.entries]

    assert "1.running_mean" in names
    assert "1.num_batches_tracked" not in names
    # 40 rows in batches of at most 16: three batches for each of two updates.
    assert state["buffer/1.num_batches_tracked"].tolist() == [6]
    assert model.params.shape == (learner.schema.parameters,)


def test_momentum_goes_on_in_the_next_update_as_in_one_long_training_of_torch() -> None:
    learner = make(linear(momentum=0.9))
    dataset = small_digits()
    inputs, labels = torch.tensor(dataset.train.inputs), torch.tensor(dataset.train.labels)
    module = nn.Linear(64, 10)
    flat.load(module, learner.initial().params)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    carried, _ = train(learner, 4)
    restarted, _ = train(learner, 4, carries=False)

    np.testing.assert_allclose(carried.params, flat.flatten(module), atol=1e-6)
    assert np.abs(restarted.params - carried.params).max() > 1e-2


def test_the_mean_of_two_halves_is_one_step_on_the_whole_batch() -> None:
    # ALGORITHMS.md, check 17: adapt-then-combine on a full mesh is large-batch SGD (T13: means, not sums).
    whole = make(linear)
    halves = [make(linear, rows=rows) for rows in (slice(0, ROWS // 2), slice(ROWS // 2, ROWS))]
    trained = [half.train(whole.initial(), {})[0].params for half in halves]

    expected, _ = whole.train(whole.initial(), {})

    np.testing.assert_allclose(np.mean(trained, axis=0), expected.params, atol=1e-6)


def test_the_offset_is_added_to_every_gradient() -> None:
    learner = make(linear)
    offset = np.random.default_rng(1).normal(size=650).astype(np.float32)
    plain, _ = learner.train(learner.initial(), {})

    shifted, _ = learner.train(learner.initial(), {}, gradient_offset=offset)

    np.testing.assert_allclose(shifted.params, plain.params - 0.1 * offset, atol=1e-6)


def test_the_offset_reaches_a_parameter_that_the_loss_does_not_and_no_buffer() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(64, 10)
            self.idle = nn.Parameter(torch.zeros(2))
            self.register_buffer("mean", torch.zeros(3))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = self.used(inputs)
            return outputs

    task = Task("idle", module=Idle, dataset=small_digits, local_steps=1)
    learner = make(task)
    names = [name for name, _, _ in learner.schema.entries]
    assert names == ["idle", "used.weight", "used.bias", "mean"]

    model, _ = learner.train(learner.initial(), {}, gradient_offset=np.ones(655, dtype=np.float32))

    np.testing.assert_allclose(model.params[:2], -0.1)
    assert not model.params[-3:].any()


def test_frozen_parameters_travel_but_do_not_move() -> None:
    def half_frozen() -> nn.Module:
        module = nn.Linear(64, 10)
        module.bias.requires_grad = False
        return module

    learner = make(Task("frozen", module=half_frozen, dataset=small_digits))
    initial = learner.initial()
    model, _ = learner.train(initial, {}, gradient_offset=np.ones(650, dtype=np.float32))

    assert model.params[-10:].tobytes() == initial.params[-10:].tobytes()
    assert (model.params[:-10] != initial.params[:-10]).any()


def test_half_precision_modules_train_and_keep_their_dtype() -> None:
    class Narrow(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs.bfloat16()).float()

    learner = make(Task("half", module=lambda: Narrow(64, 10).bfloat16(), dataset=small_digits))
    model, _ = learner.train(learner.initial(), {})

    assert {dtype for _, _, dtype in learner.schema.entries} == {"bfloat16"}
    assert model.params.dtype == np.float32
    assert learner.evaluate(model).loss < learner.evaluate(learner.initial()).loss


def test_evaluation_is_without_dropout_and_leaves_running_means_alone() -> None:
    learner = make(everything)
    model, _ = train(learner, 1)
    first, second = learner.evaluate(model), learner.evaluate(model)

    assert first.loss_sum == second.loss_sum
    module = normalised().eval()
    flat.load(module, model.params)
    test = small_digits().test
    with torch.no_grad():
        outputs = module(torch.tensor(test.inputs))
    assert first.accuracy == (outputs.argmax(dim=1).numpy() == test.labels).mean()
    assert first.loss == pytest.approx(functional.cross_entropy(outputs, torch.tensor(test.labels)).item())


def test_evaluation_in_blocks_equals_evaluation_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make(linear)
    at_once = learner.evaluate(learner.initial())

    monkeypatch.setattr("p2pfl.learning.torch_learner.EVALUATION_ROWS", 50)
    in_blocks = learner.evaluate(learner.initial())

    np.testing.assert_array_equal(at_once.confusion, in_blocks.confusion)
    assert at_once.loss_sum == pytest.approx(in_blocks.loss_sum)


def test_threads_take_turns() -> None:
    learner = make(everything)
    model, state = train(learner, 1)
    expected, accuracy = learner.train(model, state)[0].params.tobytes(), learner.evaluate(model).accuracy

    with ThreadPoolExecutor(4) as pool:
        trained = [pool.submit(learner.train, model, state) for _ in range(12)]
        evaluated = [pool.submit(learner.evaluate, model) for _ in range(12)]

    assert {future.result()[0].params.tobytes() for future in trained} == {expected}
    assert {future.result().accuracy for future in evaluated} == {accuracy}


def test_deterministic_mode_is_left_when_the_call_ends() -> None:
    threads = torch.get_num_threads()
    learner = make(linear, LearnerSetup(is_deterministic=True))
    model, _ = learner.train(learner.initial(), {})

    assert learner.evaluate(model).count == 355
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_diverged_model_is_returned_as_it_is() -> None:
    learner = make(linear)
    model, _ = learner.train(Model(np.full(650, np.inf, dtype=np.float32)), {})

    assert model.age == 1
    assert not np.isfinite(model.params).any()
    assert np.isnan(learner.evaluate(model).loss)


def test_the_default_task_trains_without_importing_the_compiler() -> None:
    # Constructing a torch optimiser would: 1.5 s and 100 MB in every daemon.
    code = (
        "import sys; from p2pfl.learning.tasks import digits as t; "
        "from p2pfl.learning.learner import LearnerSetup; d = t.dataset(); "
        "l = t.learner(d.train, d.test, LearnerSetup()); l.evaluate(l.train(l.initial(), {})[0]); "
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"torch._dynamo", "sklearn"} & set(loaded.stdout.split())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_begins_with_the_model_of_the_cpu_and_learns_the_same() -> None:
    cpu, cuda = make(digits), make(digits, LearnerSetup(device="cuda"))
    assert cpu.initial().params.tobytes() == cuda.initial().params.tobytes()

    np.testing.assert_allclose(train(cuda, 2)[0].params, train(cpu, 2)[0].params, atol=1e-3)
    accuracy = cpu.evaluate(cpu.initial()).accuracy
    assert cuda.evaluate(cuda.initial()).accuracy == pytest.approx(accuracy, abs=0.01)
