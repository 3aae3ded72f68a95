"""`python -m tests.fuzz [TARGET]...`: every target, or those named, under atheris; `make fuzz`.

FUZZ_SECONDS (20) is the time for each.  What was found interesting is kept in .fuzz/TARGET and used by the next run;
an input that breaks a target is left in .fuzz as TARGET-crash-…, and the exit code is 1."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.harness import Target

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".fuzz"
LONGEST = 4096


def targets() -> dict[str, Target]:
    """Name and target of every test of this directory."""
    found: dict[str, Target] = {}
    for file in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.fuzz.{file.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_") and hasattr(test, "fuzz"):
                found[f"{file.stem.removeprefix('test_')}.{name.removeprefix('test_')}"] = test.fuzz
    return found


def run(name: str) -> int:
    """One target for its time, in a process of its own: libFuzzer ends the process it runs in."""
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={os.environ.get('FUZZ_SECONDS', '20')}", f"-max_len={LONGEST}", "-timeout=20"]
    command = [sys.executable, "-m", "tests.fuzz", "--one", name, "-verbosity=0", f"-artifact_prefix={KEPT}/{name}-"]
    dictionary = KEPT / f"{name}.dict"
    if prepare(targets()[name], dictionary, corpus):
        command.append(f"-dict={dictionary}")
    command += [*limits, str(corpus)]
    return subprocess.run(command, check=False).returncode


def prepare(target: Target, dictionary: Path, corpus: Path) -> bool:
    """Write words and seeds where libFuzzer looks for them.  Returns whether there is a word."""
    words = ["".join(f"\\x{byte:02x}" for byte in word) for word in target.words if word]
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    return bool(words)


def one(name: str, argv: list[str]) -> None:
    """This process becomes libFuzzer with one target."""
    import atheris

    with atheris.instrument_imports(include=["qmail", "ucspi"], enable_loader_override=False):
        target = targets()[name]
    atheris.Setup([sys.argv[0], *argv], lambda data: target.check(bytes(data)))
    atheris.Fuzz()


def main(argv: list[str]) -> int:
    """Run the targets named, or all."""
    if argv[:1] == ["--one"]:
        one(argv[1], argv[2:])
        return 0
    known = list(targets())
    unknown = set(argv) - set(known)
    if unknown:
        print(f"unknown target {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 100
    broken = []
    for name in argv or known:
        print(f"--- {name}", flush=True)
        if run(name):
            broken.append(name)
    print(f"{len(argv or known)} targets, broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
