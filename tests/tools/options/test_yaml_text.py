"""YAML as users write it: words stay words, errors name their line, and no file takes much memory."""

from __future__ import annotations

import itertools
import math
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from litmobile.errors import UserError
from litmobile.tools.cli import main
from litmobile.tools.options.yaml_text import MAX_BYTES, dump_yaml, load_yaml, read_yaml
from support.cli import get_refusal

SEGMENT = ("fit", "--config", "segmentation/lraspp_camvid", "--data=FolderSegmentation", "--data.root=x")
DETECT = ("fit", "--config", "detection/ssdlite_shapes", "--data.root=x")
WORDS = ["yes", "no", "on", "off", "y", "n", "YES", "Off", "007", "1_000", "0x1F", "0o7", "1:30", "+3", "2001-01-01"]
LARGE = ["12345678901234567890", "1" * 5000]


@pytest.mark.parametrize("word", WORDS + LARGE)
def test_words_stay_words(word: str) -> None:
    assert load_yaml(word) == word
    assert load_yaml(f"[{word}, {{a: {word}}}]") == [word, {"a": word}]


NUMBERS = {"0": 0, "-12": -12, "1e-3": 0.001, "2.50": 2.5, ".5": 0.5, "1.": 1.0, "-1.5E+3": -1500.0, ".inf": math.inf}
CONSTANTS = {"true": True, "False": False, "null": None, "~": None, "'1'": "1"}


@pytest.mark.parametrize(("text", "value"), (NUMBERS | CONSTANTS).items())
def test_numbers_and_constants_are_read(text: str, value: object) -> None:
    found = load_yaml(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", [*WORDS, *LARGE, "1", "1e3", "1.5", "true", "null", "~", ".inf", "<<", "=", "a: b", ""]
)
def test_text_is_written_as_it_is_read(text: str) -> None:
    value = {"key": [text, {"inner": text}]}
    assert load_yaml(dump_yaml(value)) == value


def test_aliases_and_merges_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"
    assert load_yaml(text) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}
    assert "&" not in dump_yaml(load_yaml(text))


def expand(alias: Callable[[str], str]) -> str:
    """Return a document in which each of 12 values holds the one before ten times."""
    pairs = itertools.pairwise("abcdefghijkl")
    return "\n".join(["a: &a {x: 1}", *(f"{name}: &{name} {alias(before)}" for before, name in pairs)])


BOMBS = {
    "aliases": expand(lambda name: f"[{', '.join([f'*{name}'] * 10)}]"),
    "merges": expand(lambda name: f"{{<<: [{', '.join([f'*{name}'] * 10)}]}}"),
    "a chain": "\n".join(f"- &a{k} [{f'*a{k - 1}' if k else 1}]" for k in range(2000)),
    "itself": "a: &a [*a]",
    "brackets": "[" * 400_000 + "]" * 400_000,
    "open brackets": "[" * 400_000,
    "braces": "{a: " * 200_000,
    "indentation": "\n".join(" " * k + "a:" for k in range(1000)),
    "length": "a: " + "b" * MAX_BYTES,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_file_takes_much_memory(text: str, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(text)
    tracemalloc.start()
    with pytest.raises(UserError) as refused:
        read_yaml(file)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert_one_sentence(refused.value, file)


BROKEN = {
    "trainer:\n\tmax_epochs: 1\n": "line 2: tabs do not indent YAML",
    "trainer: {\n\t\tmax_epochs: 1\n": "line 2: tabs do not indent YAML",
    "a: [1\nb: 2": "line 2: expected ',' or ']'",
    "a: 'b\nc: d": "line 2: ",
    "a: b: c": "line 1: mapping values are not allowed here",
    "a: *b": "line 1: found undefined alias 'b'",
    "a: 1\n---\nb: 2": "line 2: but found another document",
    "? [a]\n: b": "line 1: found unhashable key",
    "a: !!python/object/apply:os.system [id]": "line 1: could not determine a constructor for the tag",
    "a: !include other.yaml": "line 1: could not determine a constructor for the tag",
    "a: !!int word": "a value does not fit its tag",
    "a: \x07": "is not text",
    "": "is empty",
    "# a comment\n": "is empty",
    "- 1": "contains a list",
    "word": "contains one value",
    "1: 2": "has the key 1",
    b"a: \xff": "byte 4 is not UTF-8 text",
}


@pytest.mark.parametrize(("content", "words"), BROKEN.items(), ids=map(repr, BROKEN))
def test_broken_files_are_named_with_the_reason(
    content: str | bytes, words: str, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as refused:
        read_yaml(file)
    assert_one_sentence(refused.value, file, words)


def print_config(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*words, "--print_config"])
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("words", ["yes,off", "0,007"])
def test_classes_are_called_as_they_are_written(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"data: {{class_path: FolderSegmentation, init_args: {{classes: [{words}]}}}}"
    (tmp_path / "mine.yaml").write_text(text)
    config: dict[str, Any] = {}
    given = [f"--data.classes=[{words}]"], ["--config", str(tmp_path / "mine.yaml")], [f"--data.classes+={words[-1]}"]
    expected = words.split(","), words.split(","), [words[-1]]
    for flags, classes in zip(given, expected, strict=True):
        config = print_config(capsys, *SEGMENT, *flags)
        assert config["data"]["init_args"]["classes"] == classes
    (tmp_path / "printed.yaml").write_text(dump_yaml(config))
    assert print_config(capsys, "fit", "--config", str(tmp_path / "printed.yaml")) == config


@pytest.mark.parametrize(("word", "written"), [("true", "true"), ("2.50", "2.5"), ("~", "null"), ("False", "false")])
def test_other_constants_need_quotes_to_be_text(word: str, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = get_refusal(*SEGMENT, f"--data.classes=[ants,{word}]", capsys=capsys)
    assert f'--data.classes takes text: put "{written}" in quotes.' in message


@pytest.mark.parametrize("word", ["yes", "on", "true", "True"])
def test_booleans_may_be_words(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(f"model: {{decay_norms: {word}, warmup_steps: 010}}")
    options = print_config(capsys, *DETECT, "--config", str(tmp_path / "mine.yaml"))["model"]["init_args"]
    assert (options["decay_norms"], options["warmup_steps"]) == (True, 10)
    assert print_config(capsys, *DETECT, f"--model.decay_norms={word}")["model"]["init_args"]["decay_norms"] is True


def test_numbers_keep_their_type_where_text_fits_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trainer: {devices: 1, precision: 32, val_check_interval: 10}")
    trainer = print_config(capsys, *DETECT, "--config", str(tmp_path / "mine.yaml"))["trainer"]
    assert (trainer["devices"], trainer["precision"], trainer["val_check_interval"]) == (1, 32, 10)


FILES: dict[str, Callable[[Path], object]] = {
    "longer than": lambda file: file.write_text("# " + "b" * MAX_BYTES),
    "more than 100,000 values": lambda file: file.write_text(BOMBS["aliases"]),
    "no keys": lambda file: file.write_text("root:x:0:0"),
    "not an ordinary file": os.mkfifo,
}


@pytest.mark.parametrize("option", ["model.backbone", "model.optimizer", "trainer"])
@pytest.mark.parametrize(("words", "make"), FILES.items())
def test_files_that_options_name_are_limited(
    words: str, make: Callable[[Path], object], option: str, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    make(tmp_path / "options.yaml")
    with pytest.raises(SystemExit) as refused:
        main([*DETECT, f"--{option}={tmp_path / 'options.yaml'}"])
    assert_one_sentence(refused.value, tmp_path / "options.yaml", words)


def test_an_option_may_name_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.yaml").write_text("class_path: MobileNetV2\ninit_args: {width: 0.5}\n")
    options = print_config(capsys, *DETECT, f"--model.backbone={tmp_path / 'options.yaml'}")["model"]["init_args"]
    assert options["backbone"]["init_args"]["width"] == 0.5
