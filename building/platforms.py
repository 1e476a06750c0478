"""The platforms that wheels are built for, and what they are called."""

import platform
import sysconfig
from typing import NamedTuple


class Platform(NamedTuple):
    """Where a wheel can be installed: its tag, the system as `sys.platform` has it, the processor, zig's target."""

    tag: str
    system: str
    machine: str
    target: str


# The oldest system of each kind on which NumPy's own wheels run, or an older one
PLATFORMS = (
    Platform("manylinux_2_17_x86_64", "linux", "x86-64", "x86_64-linux-gnu.2.17"),
    Platform("manylinux_2_17_aarch64", "linux", "arm64", "aarch64-linux-gnu.2.17"),
    Platform("macosx_10_13_x86_64", "darwin", "x86-64", "x86_64-macos.10.13"),
    Platform("macosx_11_0_arm64", "darwin", "arm64", "aarch64-macos.11.0"),
    Platform("win_amd64", "win32", "x86-64", "x86_64-windows-gnu"),
)


def here() -> str:
    """The tag of this machine, of its own processor alone where Python is built for two."""
    name = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return name.replace("universal2", platform.machine())
