"""`python -m service` is `wsm-serve`."""

import sys

from service.cli import main

sys.exit(main())
