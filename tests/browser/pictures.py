"""Pictures for the documents: a screenshot made small by a palette of the 256 colours that occur
most.
"""

import base64
import struct
import zlib

LIMIT = 150_000  # bytes: what a picture in the repository may weigh

# Gives the width, the palette as RGB bytes, and one index for each point, both in base64.
TO_PALETTE = """async address => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const data = canvas.getImageData(0, 0, image.width, image.height).data;
  const points = Uint32Array.from({ length: data.length / 4 }, (_, n) =>
    data[4 * n] << 16 | data[4 * n + 1] << 8 | data[4 * n + 2]);
  const counts = new Map();
  for (const point of points) counts.set(point, (counts.get(point) || 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([point]) => point);
  const parts = point => [point >> 16, point >> 8 & 255, point & 255];
  const distance = (a, b) => parts(a).reduce((sum, part, n) => sum + (part - parts(b)[n]) ** 2, 0);
  const nearest = new Map();
  for (const point of counts.keys()) {
    let best = palette.indexOf(point);
    if (best < 0) palette.forEach((one, n) => {
      if (best < 0 || distance(one, point) < distance(palette[best], point)) best = n; });
    nearest.set(point, best);
  }
  const bytes = array => btoa(array.reduce((text, one) => text + String.fromCharCode(one), ""));
  const indexes = points.map(point => nearest.get(point));
  return [image.width, bytes(palette.flatMap(parts)), bytes(indexes)];
}"""


def smaller(browser, png: bytes) -> bytes:
    """The PNG with at most 256 colours, reckoned by an empty page of `browser`."""
    context = browser.new_context()
    try:
        address = "data:image/png;base64," + base64.b64encode(png).decode()
        width, palette, points = context.new_page().evaluate(TO_PALETTE, address)
    finally:
        context.close()
    rows = base64.b64decode(points)
    height = len(rows) // width
    lines = b"".join(b"\0" + rows[n * width : (n + 1) * width] for n in range(height))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", base64.b64decode(palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
