"""When a run is stopped: rules as values, and what they would have done.

rules/    one rule a file
judge     the rules of the settings over one run
backtest  recorded runs replayed under rules or pruners
"""
