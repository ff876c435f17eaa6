"""Latency and throughput of networks on engines, measured in turn with a reference network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .engines.operators import compare_operators, profile_operators
from .engines.prepared import Prepared, Settings, make_noise
from .engines.table import prepare
from .targets import Target
from .timing import Timing, take_turns

REFERENCE_ENGINE = "eager"

Facts = dict[str, Any]


class Entry(NamedTuple):
    """A network on an engine, ready to be measured.

    Attributes:
        name: of the network.
        engine: its name.
        size: (height, width) of the input in pixels.
        prepared: runs the network.
    """

    name: str
    engine: str
    size: tuple[int, int]
    prepared: Prepared

    def make_call(self, batch: int) -> Callable[[], object]:
        """Returns a call that runs the network on a batch of noise."""
        return partial(self.prepared.run, self.prepared.place(make_noise(batch, self.size)))


def prepare_target(target: Target, engines: Sequence[str], settings: Settings) -> list[Entry]:
    """Prepares a network for engines, which share the files of the network.

    Raises:
        UserError: the network cannot be compiled or exported.
    """
    folder = Path(tempfile.mkdtemp(dir=settings.folder))
    size = target.network.preprocessing.size
    return [
        Entry(target.name, engine, size, prepare(engine, target.network, settings._replace(folder=folder)))
        for engine in engines
    ]


def measure_entries(entries: Sequence[Entry], reference: int, seconds: float, batch: int) -> list[Facts]:
    """Measures latency at batch 1, then throughput; each in rounds that call every entry once.

    Args:
        entries: what is measured.
        reference: index of the entry that the others are compared with.
        seconds: of each of the two measurements.
        batch: images per call of the throughput; 1 leaves this measurement out.
    """
    times = take_turns([entry.make_call(1) for entry in entries], seconds)
    batch_times = take_turns([entry.make_call(batch) for entry in entries], seconds) if batch > 1 else times
    rows = zip(entries, times, batch_times, strict=True)
    return [
        {
            "name": entry.name,
            "engine": entry.engine,
            "rounds": len(taken),
            **latency_facts(Timing.of(taken, times[reference])),
            **throughput_facts(Timing.of(of_batch, batch_times[reference]), batch),
            "file_bytes": entry.prepared.file and entry.prepared.file.stat().st_size,
        }
        for entry, taken, of_batch in rows
    ]


def latency_facts(timing: Timing) -> Facts:
    """Describes the latency: milliseconds at batch 1, and their ratio to the reference's in the same round."""
    return {
        "milliseconds": timing.milliseconds.median,
        "milliseconds_interval": timing.milliseconds[1:],  # 95 %, of the median
        "milliseconds_p95": timing.p95,
        "ratio": timing.ratio.median,
        "ratio_interval": timing.ratio[1:],  # 95 %, of the median
    }


def throughput_facts(timing: Timing, batch: int) -> Facts:
    """Describes the throughput; the rate's interval comes from that of the time of a batch."""
    median, low, high = (1000 * batch / milliseconds for milliseconds in timing.milliseconds)
    return {"images_per_second": median, "images_per_second_interval": (high, low), "batch": batch}


def find_slow_operators(entries: Sequence[Entry], threads: int) -> dict[str, list[Facts]]:
    """Compares ONNX Runtime's operators in float and int8, by network; only of those that are measured in both."""
    files = {(entry.name, entry.engine): entry for entry in entries}
    found: dict[str, list[Facts]] = {}
    for (name, engine), entry in files.items():
        quantized = files.get((name, f"{engine}-int8"))
        if engine != "onnxruntime" or quantized is None:
            continue
        images = make_noise(1, entry.size)
        paths = [x.prepared.file for x in (entry, quantized) if x.prepared.file]
        rows = compare_operators(*profile_operators(paths, images, threads))
        found[name] = [{**row._asdict(), "loss_ms": row.loss} for row in rows]
    return found
