"""The trainers that a run is watched in; the only importers of a trainer class.

watching        all callbacks of a trainer in one call
trainer         callbacks for TRL and transformers
sources         the sources of a trainer's rows, for the loss of each
held_out_score  the callback that scores a model on held-out questions
axolotl/        the Axolotl plugin
known_keys      the keys of the installed Axolotl, read in a child process
"""
