"""Whether a file of pictures was compressed with a loss, told by its first bytes."""

from pathlib import Path

HEAD = 1 << 16  # bytes, after which a colour profile has ended
REVERSIBLE = 1  # wavelet of JPEG 2000, byte 13 of the coding style


def lossy(path: Path) -> bool:
    """Whether the format loses something: JPEG, AVIF and HEIF do, WebP and JPEG 2000 unless asked not to."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return b"VP8L" not in head
    if head[4:8] == b"jP  " or head[:4] == b"\xff\x4f\xff\x51":
        style = head.find(b"\xff\x52")
        return head[style + 13 : style + 14] != bytes([REVERSIBLE])
    return head[:3] == b"\xff\xd8\xff" or head[4:8] == b"ftyp"
