"""What a package index shows of the project: the README, with links that lead somewhere away from a checkout.

$MINIGAN_REPOSITORY is the address at which the repository can be read, without a slash at its end. A checkout does not
know it: whoever builds what is published says it.
"""

import os
import re
from pathlib import Path

ADDRESS = "MINIGAN_REPOSITORY"

# Code is stepped over, blocks and spans; so are links to addresses and to headings of the same page.
_CODE_OR_LINK = re.compile(
    r"```.*?```|`(?:[^`\n]|\n(?!\n))+`|(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!\w+:|#)(?P<path>[^)]+)\)", re.DOTALL
)


def repository() -> str | None:
    """The repository's address; None where it is not given."""
    return os.environ.get(ADDRESS) or None


def description(readme: Path, address: str | None) -> str:
    """The text of `readme`, each link to a file of the repository at `address` made a whole one.

    Without an address only the words of such a link stay, and the description of a picture in its place.
    """

    def whole(found: re.Match[str]) -> str:
        if found["path"] is None:
            return found[0]
        if address is None:
            return found["text"]
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['text']}]({address}/{kind}/HEAD/{found['path']})"

    return _CODE_OR_LINK.sub(whole, readme.read_text(encoding="utf-8"))
