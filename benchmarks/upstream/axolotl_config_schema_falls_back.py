"""`axolotl config-schema` cannot make the JSON schema, and prints a stand-in.

Host: Axolotl
Versions: axolotl 0.19.0, pydantic 2.12.5
Expected: a JSON schema with types, descriptions and allowed values.
Observed: pydantic cannot serialise a torch.dtype, and the command prints names and
    `str(annotation)` alone.
Cause: the values of the enum `TorchAOQuantDType` (axolotl/utils/schemas/enums.py,
    line 8) are torch.dtype objects; axolotl/cli/main.py, lines 443 to 468, has the
    fallback.
Reported: not found
"""

import sys

try:
    from axolotl.utils.schemas.config import AxolotlInputConfig
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)

print("expected: a JSON schema")
try:
    schema = AxolotlInputConfig.model_json_schema()
except Exception as error:
    print(f"observed: {type(error).__name__}: {str(error)[:200]}")
    sys.exit(0)
print(f"observed: a schema of {len(schema['properties'])} keys")
sys.exit(2)
