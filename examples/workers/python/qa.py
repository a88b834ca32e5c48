"""A QA agent in Python: runs the test suite of a quest's base and of its candidates. python3 qa.py --state .questbus"""

import argparse
import hashlib
import os
import re
import signal
import subprocess
import tempfile
import time
import uuid

from bus import Bus, Refused, Unanswered

WAIT_MS = 25_000
RENEW_EVERY_S = 3
EXCERPT_CHARS = 2_000
OUTPUT_BYTES = 1_048_576
REPETITIONS = 2


class Fault(Exception):
    """The task cannot be done: what is reported in place of a result."""

    def __init__(self, code, message, next_step):
        super().__init__(message)
        self.fault = {"code": code, "message": message[:EXCERPT_CHARS], "next": next_step}


class Lease:
    """What was granted. Whoever works renews; a renewal that is refused ends the work."""

    def __init__(self, bus, grant):
        self.bus, self.brief = bus, grant["brief"]
        self.head = {"assignment": grant["assignment"], "epoch": grant["epoch"]}
        self.progress = {"step": self.brief["task"], "count": 0}
        self.artifacts = []
        self._due = 0

    def worked(self, step):
        self.progress = {"step": step[:120], "count": self.progress["count"] + 1}

    def renew(self):
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + RENEW_EVERY_S
        self.bus.request("renew", {**self.head, "progress": self.progress}, patience_s=5)


def git(*args):
    run = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", *args], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise Fault("ARTIFACT_MISSING", f"git {args[0]}: {run.stderr.strip()}", "run the quest again")
    return run.stdout


def check_out(lease, commit, folder):
    """A tree of its own. Base and candidates are in the quest's private repository: the target itself is only read."""
    brief = lease.brief
    private = os.path.join(lease.bus.state, "quests", brief["quest"], "repo.git")
    source = private if os.path.isdir(private) else brief["spec"]["target"]["repo"]
    git("clone", "--quiet", "--no-checkout", "--shared", source, folder)
    git("-C", folder, "checkout", "--quiet", "--detach", commit)
    prepare = brief["spec"]["target"]["prepare"]
    if prepare:
        exit_code, _, output = run_command(lease, prepare, folder, 600_000)
        if exit_code != 0:
            raise Fault("PREPARE_FAILED", f"{prepare}: {failing(plain(output))}", "correct target.prepare")


def run_command(lease, command, folder, timeout_ms):
    """Exit code (None: out of time), milliseconds and output; the lease is renewed meanwhile."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as output:
        began = time.monotonic()
        env = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
        child = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        lease.worked(command)
        timed_out = False
        try:
            while child.poll() is None and not timed_out:
                lease.renew()
                left_s = began + timeout_ms / 1000 - time.monotonic()
                timed_out = left_s <= 0
                try:
                    child.wait(max(0, min(left_s, RENEW_EVERY_S)))
                except subprocess.TimeoutExpired:
                    pass
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        took_ms = (time.monotonic() - began) * 1000
        lease.worked(command)
        output.seek(0)
        return (None if timed_out or child.returncode < 0 else child.returncode), took_ms, output.read(OUTPUT_BYTES)


def last_lines(output):
    """Characters are counted as UTF-16 on the other side: half as many always fit. Whole lines, where it can be."""
    text = plain(output).rstrip()
    tail = text[-(EXCERPT_CHARS // 2) :]
    return tail if len(tail) == len(text) else tail.partition("\n")[2] or tail


def plain(output):
    """Text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", output.decode("utf-8", "replace"))


def failing(text):
    """The line that most likely names what failed, else the last one."""
    named = re.search(r"^\s*((?:not ok\b|✖|FAIL\b|×|AssertionError|Error:).*)$", text, re.M)
    lines = text.strip().splitlines() or ["no output"]
    return (named[1] if named else lines[-1]).strip()[:200]


def excerpt_of(output, passed):
    """The last lines, after the one that names a failure where they leave it out."""
    tail, named = last_lines(output), failing(plain(output))
    return tail if passed or named in tail else f"{named}\n...\n{tail}"


def store(lease, kind, data):
    """Evidence: a file named by its SHA-256, on the disk before it is reported."""
    sha256 = hashlib.sha256(data).hexdigest()
    folder = os.path.join(lease.bus.state, "artifacts", sha256[:2])
    path = os.path.join(folder, sha256[2:])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fresh = f"{path}.{uuid.uuid4()}"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    ref = {"kind": kind, "sha256": sha256, "sizeBytes": len(data)}
    if ref not in lease.artifacts:
        lease.artifacts.append(ref)
    return ref


def count_tests(output):
    """What `node --test` and TAP say they ran; None where the output does not say."""
    text = output.decode("utf-8", "replace")
    found = {word: re.findall(rf"^\W*{word} (\d+)\s*$", text, re.M) for word in ("pass", "fail", "skipped")}
    if not found["pass"] or not found["fail"]:
        return None
    return {
        "passed": int(found["pass"][-1]),
        "failed": int(found["fail"][-1]),
        "skipped": int((found["skipped"] or ["0"])[-1]),
    }


def run_suite(lease, folder):
    tests = lease.brief["spec"]["tests"]
    began = time.monotonic()
    exit_code, took_ms, output = run_command(lease, tests["command"], folder, tests["timeoutMs"])
    return {
        "passed": exit_code == 0,
        "exit": exit_code,
        "timedOut": exit_code is None and time.monotonic() - began >= tests["timeoutMs"] / 1000,
        "durationMs": round(took_ms, 3),
        "output": store(lease, "suite-output", output),
        "excerpt": excerpt_of(output, exit_code == 0),
        "tests": count_tests(output),
    }


def again_until_green(lease, folder):
    runs = []
    while len(runs) < REPETITIONS and not any(run["passed"] for run in runs):
        runs.append(run_suite(lease, folder))
    return runs


def told(run):
    colour = "green" if run["passed"] else "timed out" if run["timedOut"] else f"red, exit {run['exit']}"
    return f"{colour} in {run['durationMs'] / 1000:.1f} s"


def base_suite(lease, folder):
    check_out(lease, lease.brief["lastGood"]["commit"], folder)
    run = run_suite(lease, folder)
    return {"result": run, "summary": f"suite on last known-good: {told(run)}"}


def separate(lease, folder):
    """A red base is run again: always red is failing, sometimes red is flaky."""
    if not lease.brief["suiteRed"]:
        return {"result": {"runs": [], "flaky": False}, "summary": "the suite was green"}
    check_out(lease, lease.brief["lastGood"]["commit"], folder)
    runs = again_until_green(lease, folder)
    if not runs[-1]["passed"]:
        message = f"the suite fails on the base itself: {failing(runs[-1]['excerpt'])}"
        raise Fault("SUITE_FAILED", message, "make the suite green, then run the quest again")
    return {"result": {"runs": runs, "flaky": True}, "summary": "flaky, not failing"}


def suite(lease, folder):
    """The candidate's suite, and a sign-off. The candidate's commit has what is sealed put back already."""
    check_out(lease, lease.brief["candidate"]["commit"], folder)
    runs = [run_suite(lease, folder)]
    changed = git("-C", folder, "diff", "--name-only", "HEAD").split("\n")[:-1]
    if not runs[0]["passed"]:
        runs += again_until_green(lease, folder)
    passed = runs[0]["passed"] or (lease.brief["flaky"] and runs[-1]["passed"])
    summary = f"suite on the candidate: {told(runs[-1])}"
    # A run that writes tracked files is for a person to look at: this agent does not know which of them are sealed.
    vote = passed and not changed
    reasons = [summary] + ([f"its run changed {', '.join(changed)}"[:EXCERPT_CHARS]] if changed else [])
    return {
        "result": {"runs": runs, "passed": passed},
        "summary": summary,
        "signOff": {"vote": "yes" if vote else "no", "reasons": reasons},
    }


TASKS = {"base-suite": base_suite, "separate": separate, "suite": suite}


def work(bus, grant):
    lease = Lease(bus, grant)
    brief = lease.brief
    report = {**lease.head, **{key: brief[key] for key in ("pass", "phase", "task")}}
    try:
        with tempfile.TemporaryDirectory(prefix="questbus-qa-") as folder:
            outcome = TASKS[brief["task"]](lease, os.path.join(folder, "tree"))
        report.update(fault=None, result=outcome["result"], signOff=outcome.get("signOff"))
        summary = outcome["summary"]
    except Fault as fault:
        summary = f"{fault.fault['code']}: {fault}"
        report.update(fault=fault.fault, result=None, signOff=None)
    report.update(summary=summary[:400], suspicions=[], artifacts=lease.artifacts)
    bus.request("report", report)
    print(f"{brief['quest']} pass {brief['pass']} {brief['task']}: {summary}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--state", default=os.environ.get("QUESTBUS_STATE", ".questbus"))
    options.add_argument("--name", default="qa")
    given = options.parse_args()
    bus = Bus(given.state, "qa", given.name)
    bus.request("hello", {"incarnation": str(uuid.uuid4()), "pid": os.getpid()})
    while True:
        try:
            answer = bus.request("claim", {"waitMs": WAIT_MS}, wait_s=WAIT_MS / 1000)
            if answer["status"] == "granted":
                work(bus, answer["grant"])
        except Refused as refused:
            # A lost lease costs nothing: the task was given to another, or its quest is over.
            print(f"refused: {refused}", flush=True)
            time.sleep(1)
        except Unanswered as unanswered:
            print(f"no answer: {unanswered}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
