"""Without a network, the telemetry keeps a process from ending.

Host: Axolotl, with posthog
Versions: axolotl 0.19.0, posthog 6.7.11
Expected: a run ends soon after its last step, whether or not its telemetry was
    delivered.
Observed: the process waits for ever at its end, if an event is still queued while an
    earlier one is being sent again. The host here is a closed port of this machine,
    so that nothing leaves it.
Cause: axolotl/telemetry/manager.py, line 136, registers `posthog.shutdown` at exit
    before posthog's client registers its own `join` (posthog/client.py, line 277),
    which therefore runs first and ends the thread that sends. `shutdown` then waits
    in `queue.join()` (line 1102) for events that nobody takes.
Reported: not found
"""

import os
import subprocess
import sys
import time

LIMIT_S = 60


def run():
    """What a run does: an event at its start, another at its end."""
    from axolotl.telemetry import manager

    manager.POSTHOG_HOST = "http://127.0.0.1:9"
    telemetry = manager.TelemetryManager.get_instance()
    telemetry.send_event("start")
    time.sleep(2)  # the thread is sending the first event again and again
    telemetry.send_event("end")
    print("the run has ended", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["run"]:
        run()
        sys.exit()
    try:
        import axolotl  # noqa: F401
        import posthog  # noqa: F401
    except ImportError as error:
        print(f"cannot be run here: {error}")
        sys.exit(77)
    process = subprocess.Popen(
        [sys.executable, __file__, "run"],
        env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "0", "DO_NOT_TRACK": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    print(process.stdout.readline().strip())
    print("expected: the process ends within seconds")
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        print(f"observed: it still waits after {LIMIT_S} seconds")
        sys.exit(0)
    print("observed: it has ended")
    sys.exit(2)
