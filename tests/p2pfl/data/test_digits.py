import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from p2pfl.data import digits as module
from p2pfl.data.digits import digits
from p2pfl.errors import ConfigError


def test_digits_are_1797_images_scaled_to_one_with_int64_labels() -> None:
    dataset = digits()

    assert len(dataset.train) + len(dataset.test) == 1797
    for samples in (dataset.train, dataset.test):
        assert samples.inputs.dtype == np.float32
        assert samples.inputs.shape == (len(samples), 64)
        assert samples.labels.dtype == np.int64
        assert (samples.inputs.min(), samples.inputs.max()) == (0.0, 1.0)
    assert dataset.classes == 10


def test_no_test_image_is_among_the_training_images() -> None:
    dataset = digits()
    train = {row.tobytes() for row in dataset.train.inputs}

    assert not any(row.tobytes() in train for row in dataset.test.inputs)


def test_the_split_is_stratified_and_always_the_same() -> None:
    dataset = digits()
    train, test = (np.bincount(samples.labels) for samples in (dataset.train, dataset.test))

    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.01)
    assert dataset.test.inputs.tobytes() == digits().test.inputs.tobytes()


def test_reading_digits_imports_neither_scikit_learn_nor_torch() -> None:
    code = "import sys; from p2pfl.data.digits import digits; digits(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"sklearn", "scipy", "torch", "pandas"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    "content", [b"not gzip", gzip.compress(b"1,2,3\n", mtime=0), gzip.compress(b"a,b\n", mtime=0)]
)
def test_a_damaged_file_is_named_in_a_config_error(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits.csv.gz"
    file.write_bytes(content)
    monkeypatch.setattr(module, "_file", lambda: file)

    with pytest.raises(ConfigError) as caught:
        digits()
    assert caught.value.where == str(file)
    assert "scikit-learn" in caught.value.fix


def test_a_missing_package_is_named_in_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    with pytest.raises(ConfigError, match="needs scikit-learn"):
        digits()
