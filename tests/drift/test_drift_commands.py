"""`andon drift` on a data directory without a server, in a process of its own: the engine allows one directory each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CONFIG = """
[[drift.monitors]]
name = "length"
signal = "feature.length"
window_seconds = 2.0
min_windows = 4
min_rows = 400
grace_seconds = 0.0
"""

# Fills a data directory and runs the commands on it; prints [exit code, output] of each as JSON.
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from typer.testing import CliRunner
sys.path.insert(0, sys.argv[1])
from drift_data import put_windows
from cli.drift import app
from cli.stores import open_stores
from settings import SettingsError, load_settings

config, data = sys.argv[2], sys.argv[3]
found = []

def run(*words):
    result = CliRunner().invoke(app, [*words, "--config", config, "--data-dir", data])
    error = result.exception
    found.append([result.exit_code, str(error) if isinstance(error, SettingsError) else result.output])

run("baseline", "length")
run("baseline", "size")
run("baseline", "length", "--from", "yesterday")
rng = np.random.default_rng(1)
with open_stores(load_settings(Path(config), {"data_dir": Path(data)})) as stores:
    put_windows(stores.telemetry, [rng.normal(size=200) for _ in range(10)] + [rng.normal(3, 1, 200)])
run("baseline", "length", "--from", "2026-03-01T00:00:00Z", "--to", "2026-03-01T00:00:20Z")
run("run")
run("status")
run("status", "--json")
print(json.dumps(found))
"""


def test_the_commands_tell_a_monitors_whole_story(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text(CONFIG)
    here = Path(__file__).parent
    command = [sys.executable, "-c", SCRIPT, str(here), str(config), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=here.parents[1], check=False)
    assert done.returncode == 0, done.stderr
    early, unknown, unreadable, captured, judged, status, as_json = json.loads(done.stdout.splitlines()[-1])
    assert early == [1, "andon: learning (0 of 4 windows, 0 of 400 rows)\n"]
    assert unknown == [1, "no drift monitor is named 'size'; andon.toml defines: length"]
    assert "--from='yesterday' cannot be used: write ISO 8601" in unreadable[1]
    assert captured[0] == 0
    assert captured[1] == (
        "length: baseline 1 from 2 000 rows in 10 windows, 2026-03-01 00:00:00 UTC to 2026-03-01 00:00:20 UTC\n"
    )
    assert judged == [0, "length: 1 windows judged, drifting\n"]
    assert status[1].startswith("DRIFTING  length since 2026-03-01 00:00:22 UTC\n")
    assert "values are higher since 2026-03-01 00:00:20 UTC" in status[1]
    (monitor,) = json.loads(as_json[1])["monitors"]
    assert (monitor["state"], monitor["kind"], monitor["sign"]) == ("drifting", "location", 1)
