"""`python -m axolotl_sftguide` is `sftguide`."""

from .cli import main

main()
