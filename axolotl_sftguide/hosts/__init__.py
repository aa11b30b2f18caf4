"""The trainers that a run is watched in; the only importers of a trainer class.

trainer   callbacks for TRL and transformers
axolotl/  the Axolotl plugin
known_keys  the keys of the installed Axolotl, asked in a process of its own
"""
