"""Recorded runs on the disk.

traces           the JSON lines file that each run appends to
trace_lines      its lines as records
following        the same while it is written
history/         the index over runs, in SQLite or PostgreSQL
postgresql       connections that notice when a machine is gone
history_writer   the thread that writes to the history while a run trains
trainer_states   runs that were not watched, from `trainer_state.json`
lm_eval_results  scores from lm-evaluation-harness
marker           the file that marks the output folder of a stopped run
redaction        configurations without their secrets
throughput       samples per second of earlier runs
"""
