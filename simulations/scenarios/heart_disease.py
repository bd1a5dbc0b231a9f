"""Heart disease in four hospitals, read as in Fed-Heart-Disease: logistic regression, a node per hospital."""

from pathlib import Path

from p2pfl.learning.task import Task
from p2pfl.learning.tasks import tabular
from simulations.scenarios.data_sets import DATA_SETS, folder_of

COLUMNS = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")
INCOMPLETE = ("slope", "ca", "thal")  # left out: most hospitals did not note them


def hospitals(data: Path) -> Task:
    """Whose arteries are narrowed?  From ten columns; a third of each hospital's patients are for tests."""
    folder = folder_of(data, "heart-disease")
    return tabular(
        path=[str(folder / file) for file in DATA_SETS["heart-disease"].files],
        columns=[*COLUMNS, *INCOMPLETE, "num"],
        label="num",
        positive_above=0,
        leave_out=INCOMPLETE,
        categories=["cp", "restecg"],
        incomplete="drop",
        scale="owner",
        test_share=1 / 3,
        model="softmax",
        local_epochs=1,
    )
