"""When a run is stopped, and what stopping would have done on recorded runs.

rules/     one rule per file
baselines  the reference run and the cohort that a run is compared with
judge      applies the rules of the settings to one run
backtest   recorded runs replayed under rules or pruners
"""
