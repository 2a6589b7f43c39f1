"""A process that evaluates and delivers until it is killed: `worker CONTROL_URL RECEIVER_URL SWITCHES EPOCH`.

`SWITCHES` is a file with the state of each line as JSON. Time runs a hundred times as fast as outside, counted from
`EPOCH` (Unix seconds), so that leases and retries end while the test watches.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

from alerts.channel import load_channels
from alerts.delivery import Deliverer
from alerts.evaluator import Evaluator
from alerts.rules import load_rules
from alerts.signals import Signal
from settings.model import AlertRule, AlertSettings
from store.control import ControlStore
from tests.alerts.receiver import at, webhook_settings

SPEED = 100


def impatient(low: float, high: float) -> float:
    """Waits of hours would end after the test."""
    return random.uniform(low, min(high, 60))


def main(control_url: str, receiver_url: str, switches: Path, epoch: float) -> None:
    def now() -> datetime:
        return at((time.time() - epoch) * SPEED)

    def signals(moment: datetime) -> list[Signal]:
        lines = json.loads(switches.read_text())
        return [Signal("switch.on", {"line": name}, float(on), at=moment) for name, on in lines.items()]

    store = ControlStore(control_url)
    channels = load_channels([webhook_settings(receiver_url)])
    rule = AlertRule(name="switch", signal="switch.on", op=">", value=0)
    rules = load_rules(AlertSettings(rules=(rule,), default_rules=False), 15, channels)
    evaluator = Evaluator(store, rules, signals)
    deliverer = Deliverer(store, channels, elapsed=lambda: time.monotonic() * SPEED, uniform=impatient)

    def evaluate() -> None:
        while True:
            evaluator.evaluate_once(now())
            time.sleep(0.01)

    def deliver() -> None:
        while True:
            deliverer.deliver_once(now())
            time.sleep(0.005)

    for loop in (evaluate, deliver):
        threading.Thread(target=loop, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
