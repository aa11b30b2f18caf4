"""Where `hold_plugin` holds a training, known without loading Axolotl."""

STEP = 25
HELD = "held-by-process"
"""The file in the output folder that names the process that is held."""
RELEASE = "release"
"""The file next to the trials' folders that releases all trainings."""
