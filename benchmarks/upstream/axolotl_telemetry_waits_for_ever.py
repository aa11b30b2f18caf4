"""Without a network, the telemetry keeps a process from ending.

Host: Axolotl, with posthog
Versions: axolotl 0.19.0, posthog 6.7.11
Expected: a run ends soon after its last step, whether or not its telemetry was
    delivered.
Observed: the process waits for ever at its end, if an event is still queued while an
    earlier one is being sent. The server here is this process itself, which accepts a
    connection and drops it once the process is about to end, so that nothing leaves
    this machine.
Cause: axolotl/telemetry/manager.py, line 136, registers `posthog.shutdown` at exit
    before posthog's client registers its own `join` (posthog/client.py, line 277),
    which therefore runs first and ends the thread that sends. `shutdown` then waits
    in `queue.join()` (line 1102) for events that nobody takes.
Reported: not found
"""

import os
import socket
import subprocess
import sys
import threading
import time

LIMIT_S = 60


def run():
    """What a run does: an event at its start, another at its end."""
    import posthog
    from axolotl.telemetry import manager

    server = socket.create_server(("127.0.0.1", 0))
    sending = threading.Event()

    def serve():
        connection, _ = server.accept()
        sending.set()
        while posthog.default_client.consumers[0].running:  # until the process ends
            time.sleep(0.1)
        connection.close()
        server.close()

    threading.Thread(target=serve, daemon=True).start()
    manager.POSTHOG_HOST = f"http://127.0.0.1:{server.getsockname()[1]}"
    telemetry = manager.TelemetryManager.get_instance()
    telemetry.send_event("start")
    sending.wait()
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
        env={
            **os.environ,
            "AXOLOTL_DO_NOT_TRACK": "0",
            "DO_NOT_TRACK": "0",
            "NO_PROXY": "127.0.0.1",
        },
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
