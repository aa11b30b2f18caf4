#!/bin/sh
# Install the wheel of dist/ into an empty environment, and run the tests of the sdist there,
# in a folder that has neither the checkout nor a copy of the package.
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
set -- "${1:-2}" "$project"/dist/*.whl
[ $# = 2 ] || { echo "dist/ has not one wheel: run make dist" >&2; exit 2; }
mkdir "$folder/sdist"
tar -xzf "$project"/dist/*.tar.gz -C "$folder/sdist" --strip-components 1
rm -r "$folder/sdist/axolotl_sftguide"
"${PYTHON:-python3}" -m venv "$folder/env"
PATH="$folder/env/bin:$PATH"
cd "$folder/sdist"
python -m pip install --quiet --upgrade pip
python -m pip install --quiet "$2[axolotl,sweep,mix,postgresql]" --group test
python -c '
import axolotl_sftguide as package
print("testing", package.__version__, "in", package.__file__)
'
pytest -n "$1" -m "not slow and not long and not versions"
