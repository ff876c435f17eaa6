"""`litmobile demo`: loads a network, and answers the requests of its page until it is interrupted."""

from __future__ import annotations

import threading
import webbrowser

from ...errors import format_count
from ...tasks.network import Network, Predictor, load, name_parts
from ..engines.network import ExportedNetwork, load_exported
from ..loading import move_network
from .options import DemoOptions
from .predictor import DemoPredictor
from .server import LOCAL_HOSTS, DemoServer


def serve(server: DemoServer, options: DemoOptions, opens_browser: bool) -> None:
    """Serves the page for the network of ``options`` until Ctrl-C.

    Raises:
        UserError: the network cannot be loaded, or the options do not suit it.
    """
    network = load_network(options)
    path = options.source.resolve()
    with DemoPredictor(network, path.name, describe_network(network), options.score) as predictor:
        server.predictor = predictor
        print(f"The demo of {options.source} is at {server.url} – Ctrl-C ends it.", flush=True)
        if server.host not in LOCAL_HOSTS:
            print(f"Everybody who reaches this machine at {server.host} can use it.", flush=True)
        if opens_browser:  # in a thread, because a browser in the terminal returns only when it is closed
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nThe demo has ended.")


def load_network(options: DemoOptions) -> Predictor:
    """Loads the network of a run onto its device, or an exported file.

    Raises:
        UserError: it cannot be loaded, or this machine does not have the device.
    """
    if options.is_exported:
        return load_exported(options.source, options.engine)
    return move_network(load(options.source), options.device, "--device ")


def describe_network(network: Predictor) -> str:
    """Returns what runs where, e.g. "SSDLite on MobileNetV2 · 3 classes · input 320×320 · cpu"."""
    if isinstance(network, Network):
        kind = name_parts(network.backbone, network.head)
    else:
        kind = network.engine.name if isinstance(network, ExportedNetwork) else type(network).__name__
    height, width = network.preprocessing.size
    classes = format_count(len(network.classes), "classes")
    return " · ".join((kind, classes, f"input {width}×{height}", str(network.device)))
