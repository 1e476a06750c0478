"""The names that platforms have in wheels."""

import platform
import sysconfig


def here() -> str:
    """This machine's, of its own processor alone where Python is built for two."""
    name = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return name.replace("universal2", platform.machine())
