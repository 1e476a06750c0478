"""Files that know their own checksum: any bit that changes is noticed."""

import hashlib
import re

BLANK = b"0" * 64  # where the checksum goes in a file that is written as if it had none


def sealed(content: bytes, beside: bytes = b"") -> bytes:
    """`content` with its first BLANK replaced by the SHA-256 of `beside` and itself; ValueError if it has none."""
    if BLANK not in content:
        raise ValueError("sealed: the content has no blank for its checksum")
    return content.replace(BLANK, hashlib.sha256(beside + content).hexdigest().encode(), 1)


def is_whole(content: bytes, digest: str, beside: bytes = b"") -> bool:
    """Is `digest`, which the content says of itself, the one that `sealed` put there?"""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        return False
    return hashlib.sha256(beside + content.replace(digest.encode(), BLANK, 1)).hexdigest() == digest
