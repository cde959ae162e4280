"""Fixtures of the end-to-end tests; the work is in harness.py."""

import os
import pathlib

import pytest

import harness


def pytest_configure(config: pytest.Config) -> None:
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # whatever the user's proxy is for
    if not harness.BIN or not os.access(harness.BIN, os.X_OK):
        raise pytest.UsageError(f"TACIT_BIN={harness.BIN!r} is not a program; ./dev e2e sets it")


@pytest.fixture(scope="session")
def models() -> pathlib.Path:
    """The models folder with the starter model in it."""
    return harness.pulled_models()


@pytest.fixture(scope="session")
def weights(models: pathlib.Path) -> pathlib.Path:
    return harness.weights_file(models)


@pytest.fixture
def home(tmp_path: pathlib.Path, models: pathlib.Path) -> pathlib.Path:
    """A fresh TACIT_HOME that has the model."""
    return harness.make_home(tmp_path, models)


@pytest.fixture
def empty_home(tmp_path: pathlib.Path) -> pathlib.Path:
    return harness.make_home(tmp_path, None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: pathlib.Path):
    """A server shared by the tests of one file: no test may leave it changed."""
    home = harness.make_home(tmp_path_factory.mktemp("server"), models)
    with harness.running(home) as running:
        yield running


@pytest.fixture
def own_server(home: pathlib.Path):
    """A server that the test may maltreat."""
    with harness.running(home) as running:
        yield running
