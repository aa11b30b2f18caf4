"""Recorded runs on the disk.

traces           the JSONL file that each run appends to
history/         the index over runs, in SQLite or PostgreSQL
history_writer   the thread that writes to it while a run trains
trainer_states   runs of others, from `trainer_state.json`
lm_eval_results  scores from lm-evaluation-harness
marker           the file that marks a stopped run's output folder
redaction        a configuration without secrets
throughput       samples per second of earlier runs
"""
