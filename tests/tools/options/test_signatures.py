"""Arguments of classes are read once, and are those that jsonargparse reads."""

from __future__ import annotations

import pytest
from jsonargparse import _signatures

from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tools.options import signatures
from litmobile.tools.options.signatures import list_parameters, read_signature


@pytest.mark.parametrize("owner", [ClassificationTask, FolderClassification])
def test_parameters_are_those_of_jsonargparse(owner: type) -> None:
    assert _signatures.get_signature_parameters is list_parameters
    for _ in range(2):
        assert list_parameters(owner) == read_signature(owner)
    assert list_parameters(owner, "setup") == read_signature(owner, "setup")


def test_a_class_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own:
        def __init__(self, width: int = 1) -> None: ...

    first = list_parameters(Own)
    monkeypatch.setattr(signatures, "read_signature", lambda *_, **__: pytest.fail("it is known"))
    first[0].default = 2
    assert [parameter.default for parameter in list_parameters(Own)] == [1]
