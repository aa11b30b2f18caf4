"""A plugin that cannot be imported is logged, and the training goes on without it.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: a plugin of the config whose import fails ends the run, as one does whose
    class has another name.
Observed: `register` prints the traceback and returns. The run trains without the
    plugin, and the plugin's keys are dropped from the config as unknown.
Cause: axolotl/integrations/base.py, lines 412 to 421: `except ImportError` logs
    alone.
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.integrations.base import PluginManager
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "my_plugin.py").write_text(
        "import a_package_that_is_not_installed\n\nclass MyPlugin:\n    pass\n"
    )
    sys.path.insert(0, folder)
    manager = PluginManager.get_instance()
    try:
        manager.register("my_plugin.MyPlugin")
        raised = None
    except ImportError as error:
        raised = error
registered = "my_plugin.MyPlugin" in manager.plugins
print("expected: an ImportError that names a_package_that_is_not_installed")
print(f"observed: raised {raised!r}; the plugin is registered: {registered}")
sys.exit(0 if raised is None and not registered else 2)
