"""The lab on the command line: list, run.

Exit status: 0 all passed, 1 a scenario failed or the lab could not be made, 2 this computer cannot run it.
"""

from __future__ import annotations

import sys

from tests.lab.command_line import main

sys.exit(main())
