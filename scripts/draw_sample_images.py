"""Draw the six pictures of the demo's sample articles: calm star patterns in the manner of zellij.

It writes newsletter/demo/site/media/<name>.png, with the standard library only. A pattern is made by the craftsmen's
rule: lay regular polygons edge to edge, send two rays inwards from the middle of each edge, and stop them where they
meet. Each polygon then holds a star, and a piece is left around each corner.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

MEDIA = Path(__file__).resolve().parents[1] / "newsletter" / "demo" / "site" / "media"
WIDTH, HEIGHT = 1200, 600
SAMPLES = 4  # per pixel and axis
LARGEST_FILE = 60_000

Point = tuple[float, float]
Polygon = list[Point]
Colour = tuple[int, int, int]
Paint = Callable[["Piece"], int]

PAPER = 0
PAPER_COLOUR: Colour = (0xFB, 0xFA, 0xF7)


@dataclass(frozen=True)
class Piece:
    """One shape of a pattern: `sides` of the polygon it fills, or 0 for what is left around a corner."""

    sides: int
    centre: Point
    outline: Polygon


class Canvas:
    """A picture of flat colours, named by their place in `colours`; paper is 0."""

    def __init__(self, colours: list[Colour]) -> None:
        self.colours = [PAPER_COLOUR, *colours]
        self.rows = [bytearray(WIDTH * SAMPLES) for _ in range(HEIGHT * SAMPLES)]

    def fill(self, colour: int, *outlines: Polygon) -> None:
        """Fill what lies inside an odd number of the outlines."""
        edges = [edge for outline in outlines for edge in sides_of(outline)]
        heights = [y for outline in outlines for _, y in outline]
        first = max(0, math.floor(min(heights) * SAMPLES))
        last = min(len(self.rows), math.ceil(max(heights) * SAMPLES))
        for number in range(first, last):
            crossings = sorted(crossings_at((number + 0.5) / SAMPLES, edges))
            for left, right in zip(crossings[::2], crossings[1::2], strict=True):
                start = min(max(0, round(left * SAMPLES)), WIDTH * SAMPLES)
                stop = min(max(start, round(right * SAMPLES)), WIDTH * SAMPLES)
                self.rows[number][start:stop] = bytes((colour,)) * (stop - start)

    def stroke(self, colour: int, outline: Polygon, width: float) -> None:
        """Draw a closed line with round corners."""
        for (x1, y1), (x2, y2) in sides_of(outline):
            length = math.hypot(x2 - x1, y2 - y1)
            dx, dy = (y2 - y1) / length * width / 2, (x1 - x2) / length * width / 2
            self.fill(colour, [(x1 + dx, y1 + dy), (x2 + dx, y2 + dy), (x2 - dx, y2 - dy), (x1 - dx, y1 - dy)])
            self.fill(colour, regular(12, (x1, y1), width / 2))

    def png(self) -> bytes:
        """Average the samples into an image with a palette (PNG, ISO/IEC 15948, colour type 3)."""
        palette: dict[Colour, int] = {}
        known: dict[bytes, int] = {}
        scanlines = bytearray()
        for top in range(0, len(self.rows), SAMPLES):
            block = self.rows[top : top + SAMPLES]
            scanlines.append(0)
            for left in range(0, WIDTH * SAMPLES, SAMPLES):
                key = b"".join([row[left : left + SAMPLES] for row in block])
                if key not in known:
                    known[key] = palette.setdefault(self.mixed(key), len(palette))
                scanlines.append(known[key])
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
        colours = b"".join(bytes(colour) for colour in palette)
        body = zlib.compress(bytes(scanlines), 9)
        chunks = [(b"IHDR", header), (b"PLTE", colours), (b"IDAT", body), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)

    def mixed(self, samples: bytes) -> Colour:
        """Mix the two most frequent colours in eighths: a palette has room for 256."""
        ranked = sorted(set(samples), key=lambda colour: (-samples.count(colour), colour))[:2]
        total = sum(samples.count(colour) for colour in ranked)
        share = round(8 * samples.count(ranked[0]) / total) / 8
        first, second = self.colours[ranked[0]], self.colours[ranked[-1]]
        red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(first, second, strict=True))
        return red, green, blue


def chunk(kind: bytes, data: bytes) -> bytes:
    """Wrap one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def sides_of(outline: Polygon) -> Iterator[tuple[Point, Point]]:
    """Walk around an outline, side by side."""
    return zip(outline, outline[1:] + outline[:1], strict=True)


def crossings_at(y: float, edges: list[tuple[Point, Point]]) -> Iterator[float]:
    """Say where edges cross a horizontal line."""
    for (x1, y1), (x2, y2) in edges:
        if (y1 <= y) != (y2 <= y):
            yield x1 + (y - y1) * (x2 - x1) / (y2 - y1)


def at(centre: Point, radius: float, degrees: float) -> Point:
    """Find the point at a distance and a direction from a centre."""
    angle = math.radians(degrees)
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def regular(sides: int, centre: Point, radius: float, turn: float = 0.0) -> Polygon:
    """Make a regular polygon with its first corner at `turn` degrees."""
    return [at(centre, radius, turn + 360 * k / sides) for k in range(sides)]


def star(points: int, centre: Point, outer: float, inner: float, turn: float = 0.0) -> Polygon:
    """Make a star with its first point at `turn` degrees."""
    step = 180 / points
    return [at(centre, inner if k % 2 else outer, turn + k * step) for k in range(2 * points)]


@dataclass(frozen=True)
class Tile:
    """A regular polygon of a tiling whose sides are 1 long; the middle of a side lies at `turn` degrees."""

    sides: int
    centre: Point
    turn: float

    @property
    def apothem(self) -> float:
        """The distance from the centre to the middle of a side."""
        return 0.5 / math.tan(math.pi / self.sides)

    def corners(self) -> Polygon:
        """List the corners; corner k lies between the middles k and k + 1."""
        return regular(self.sides, self.centre, 0.5 / math.sin(math.pi / self.sides), self.turn + 180 / self.sides)

    def star(self, ray: float) -> Polygon:
        """Make the star of rays that leave the middles of the sides at `ray` degrees from the side."""
        half, slope = math.tan(math.pi / self.sides), math.radians(ray)
        length = self.apothem * half / (math.cos(slope) + math.sin(slope) * half)
        inner = math.hypot(self.apothem - length * math.sin(slope), length * math.cos(slope))
        return star(self.sides, self.centre, self.apothem, inner, self.turn)


def pieces_of(tiles: list[Tile], ray: float, scale: float, origin: Point) -> list[Piece]:
    """Cut a tiling into its stars and the pieces around its corners, in pixels."""

    def placed(point: Point) -> Point:
        return origin[0] + point[0] * scale, origin[1] + point[1] * scale

    pieces: list[Piece] = []
    around: dict[Point, dict[Point, Point]] = defaultdict(dict)
    for tile in tiles:
        outline = tile.star(ray)
        pieces.append(Piece(tile.sides, placed(tile.centre), [placed(point) for point in outline]))
        for k, corner in enumerate(tile.corners()):
            for point in (outline[2 * k], outline[2 * k + 1], outline[(2 * k + 2) % len(outline)]):
                around[rounded(corner)][rounded(point)] = point
    for corner, points in around.items():
        ring = sorted(points.values(), key=partial(bearing, corner))
        pieces.append(Piece(0, placed(corner), [placed(point) for point in ring]))
    return pieces


def bearing(centre: Point, point: Point) -> float:
    """Say in which direction a point lies."""
    return math.atan2(point[1] - centre[1], point[0] - centre[0])


def rounded(point: Point) -> Point:
    """Name a point so that two tiles that share it agree."""
    return round(point[0], 3) + 0.0, round(point[1], 3) + 0.0


def square_lattice(step: float, reach: int) -> Iterator[Point]:
    """List the crossings of a square grid around the origin."""
    for row in range(-reach, reach + 1):
        for column in range(-2 * reach, 2 * reach + 1):
            yield column * step, row * step


def triangle_lattice(step: float, reach: int) -> Iterator[Point]:
    """List the points of a triangular grid around the origin."""
    for row in range(-reach, reach + 1):
        for column in range(-2 * reach, 2 * reach + 1):
            yield (column + (row % 2) / 2) * step, row * step * math.sqrt(3) / 2


def octagons_and_squares(reach: int) -> list[Tile]:
    """Lay the tiling 4.8.8."""
    step = 1 + math.sqrt(2)
    tiles = [Tile(8, centre, 0) for centre in square_lattice(step, reach)]
    return tiles + [Tile(4, (x + step / 2, y + step / 2), 45) for x, y in square_lattice(step, reach)]


def dodecagons_and_triangles(reach: int) -> list[Tile]:
    """Lay the tiling 3.12.12."""
    step = 1 / math.tan(math.pi / 12)
    tiles = [Tile(12, centre, 0) for centre in triangle_lattice(step, reach)]
    for centre in triangle_lattice(step, reach):
        tiles += [Tile(3, at(centre, step / math.sqrt(3), 30), 90), Tile(3, at(centre, step / math.sqrt(3), 90), 30)]
    return tiles


def dodecagons_hexagons_and_squares(reach: int) -> list[Tile]:
    """Lay the tiling 4.6.12."""
    step = 1 / math.tan(math.pi / 12) + 1
    tiles = [Tile(12, centre, 0) for centre in triangle_lattice(step, reach)]
    for centre in triangle_lattice(step, reach):
        tiles += [Tile(4, at(centre, step / 2, angle), angle) for angle in (0, 60, 120)]
        tiles += [Tile(6, at(centre, step / math.sqrt(3), angle), 30) for angle in (30, 90)]
    return tiles


def hexagons_squares_and_triangles(reach: int) -> list[Tile]:
    """Lay the tiling 3.4.6.4."""
    step = 1 + math.sqrt(3)
    tiles = [Tile(6, centre, 0) for centre in triangle_lattice(step, reach)]
    for centre in triangle_lattice(step, reach):
        tiles += [Tile(4, at(centre, step / 2, angle), angle) for angle in (0, 60, 120)]
        tiles += [Tile(3, at(centre, step / math.sqrt(3), 30), 270), Tile(3, at(centre, step / math.sqrt(3), 90), 90)]
    return tiles


def set_pieces(canvas: Canvas, pieces: list[Piece], paint: Paint, joint: float) -> None:
    """Fill the pieces that `paint` gives a colour, and leave a joint of paper between them."""
    chosen = [(piece, paint(piece)) for piece in pieces if near_canvas(piece)]
    for piece, colour in chosen:
        if colour != PAPER:
            canvas.fill(colour, piece.outline)
    for piece, colour in chosen:
        if colour != PAPER:
            canvas.stroke(PAPER, piece.outline, joint)


def near_canvas(piece: Piece) -> bool:
    """Say whether a piece may be seen."""
    return -200 < piece.centre[0] < WIDTH + 200 and -200 < piece.centre[1] < HEIGHT + 200


def inlay(canvas: Canvas, piece: Piece, size: float, colours: tuple[int, int], turn: float) -> None:
    """Set a smaller star and its heart into a star."""
    radius = math.hypot(piece.outline[1][0] - piece.centre[0], piece.outline[1][1] - piece.centre[1]) * size
    canvas.fill(colours[0], star(piece.sides, piece.centre, radius, radius * 0.72, turn))
    canvas.fill(colours[1], star(piece.sides, piece.centre, radius * 0.52, radius * 0.34, turn))


def one_counter() -> Canvas:
    """Eight-pointed stars in green that gather towards the right."""
    canvas = Canvas([(0x0B, 0x5D, 0x3B), (0x6F, 0x9C, 0x84), (0xDD, 0xE6, 0xDC)])
    pieces = pieces_of(octagons_and_squares(6), 67.5, 62, (600, 300))

    def paint(piece: Piece) -> int:
        x = piece.centre[0] + 0.3 * (piece.centre[1] - 300)
        if piece.sides == 8:
            return 1 if x > 620 else 2 if x > 320 else 3
        if piece.sides == 4:
            return 2 if x > 480 else 3 if x > 180 else PAPER
        return 3 if x > 540 else PAPER

    set_pieces(canvas, pieces, paint, 5)
    for piece in pieces:
        if piece.sides == 8 and paint(piece) == 1:
            inlay(canvas, piece, 0.7, (PAPER, 2), 22.5)
    return canvas


def training_grants() -> Canvas:
    """Large twelve-pointed rosettes in indigo that open from a corner."""
    canvas = Canvas([(0x2B, 0x3A, 0x67), (0x8C, 0x98, 0xB8), (0xE1, 0xE4, 0xEC)])
    pieces = pieces_of(dodecagons_and_triangles(5), 64, 76, (600, 300))

    def paint(piece: Piece) -> int:
        away = math.hypot(piece.centre[0] - 1180, piece.centre[1] - 560)
        if piece.sides == 12:
            return 1 if away < 620 else 2 if away < 900 else 3
        if piece.sides == 3:
            return 2 if away < 760 else PAPER
        return 3 if away < 780 else PAPER

    set_pieces(canvas, pieces, paint, 5)
    for piece in pieces:
        if piece.sides == 12 and paint(piece) < 3:
            inlay(canvas, piece, 0.74, (PAPER, paint(piece)), 15)
    return canvas


def service_houses() -> Canvas:
    """Three arches that open on stars and hexagons in terracotta."""
    canvas = Canvas([(0x9A, 0x4B, 0x32), (0xC9, 0x94, 0x7B), (0xEF, 0xE2, 0xD8)])
    pieces = pieces_of(dodecagons_hexagons_and_squares(5), 66, 36, (600, 330))
    set_pieces(canvas, pieces, lambda piece: {12: 1, 6: 2, 4: 2}.get(piece.sides, 3), 4)
    for piece in pieces:
        if piece.sides == 12:
            inlay(canvas, piece, 0.72, (PAPER, 1), 15)
    middles = [600 + k * 2 * 36 * (1 / math.tan(math.pi / 12) + 1) for k in (-1, 0, 1)]
    frame = [(-9.0, -9.0), (WIDTH + 9.0, -9.0), (WIDTH + 9.0, HEIGHT + 9.0), (-9.0, HEIGHT + 9.0)]
    canvas.fill(PAPER, frame, *(arch(middle, 126) for middle in middles))
    for middle in middles:
        canvas.stroke(1, arch(middle, 126), 5)
        canvas.stroke(2, arch(middle, 139), 2)
    return canvas


def arch(middle: float, half: float) -> Polygon:
    """Make a pointed horseshoe arch that stands on the lower edge."""
    radius, offset, height = half * 1.4, half * 0.3, 256.0
    apex = -math.degrees(math.acos(offset / radius))
    right = [at((middle - offset, height), radius, 30 + (apex - 30) * k / 60) for k in range(61)]
    left = [(2 * middle - x, y) for x, y in reversed(right[:-1])]
    floor = HEIGHT + 20.0
    return [(right[0][0], floor), *right, *left, (left[-1][0], floor)]


def first_placements() -> Canvas:
    """Six-pointed stars in saffron that cross the picture on a slope."""
    canvas = Canvas([(0xC1, 0x8A, 0x2B), (0xDD, 0xBD, 0x7F), (0xF3, 0xE9, 0xD3)])
    pieces = pieces_of(hexagons_squares_and_triangles(8), 62, 56, (600, 300))

    def paint(piece: Piece) -> int:
        away = abs(0.6 * (piece.centre[0] - 600) + (piece.centre[1] - 300))
        if piece.sides == 6:
            return 1 if away < 170 else 2 if away < 330 else 3
        if piece.sides in (3, 4):
            return 2 if away < 210 else 3 if away < 370 else PAPER
        return 3 if away < 200 else PAPER

    set_pieces(canvas, pieces, paint, 4)
    return canvas


def connected_libraries() -> Canvas:
    """Stars and crosses in blue and sand, row upon row like shelves."""
    canvas = Canvas([(0x2F, 0x5D, 0x7C), (0x9D, 0xB8, 0xC6), (0xE9, 0xDF, 0xCB)])
    radius = 75.0
    inner = radius * math.cos(math.pi / 4) / math.cos(math.pi / 8)
    quarter = [(radius, 90.0), (inner, 112.5), (radius, 135.0), (inner, 157.5)]  # of a star, towards one arm of a cross
    for row in range(5):
        for column in range(9):
            x, y = column * 2 * radius, row * 2 * radius
            corners = [(x + radius, y), (x - radius, y), (x - radius, y + 2 * radius), (x + radius, y + 2 * radius)]
            outline = [at(corners[k], r, a - 90 * k) for k in range(4) for r, a in quarter]
            canvas.fill(3, outline)
            canvas.stroke(PAPER, outline, 6)
            canvas.fill(1 if (row + column) % 2 else 2, star(8, (x + radius, y), radius - 4, inner - 3))
            canvas.fill(PAPER, star(8, (x + radius, y), radius * 0.44, inner * 0.44))
    return canvas


def paying_online() -> Canvas:
    """One sixteen-pointed rosette in plum that grows beyond the frame."""
    canvas = Canvas([(0x5B, 0x2E, 0x4F), (0xA9, 0x87, 0x9F), (0xE6, 0xD9, 0xE2), (0xF3, 0xEC, 0xF0)])
    centre, step = (600.0, 300.0), 360 / 16
    radii = [34.0, 52.0, 78.0, 116.0, 170.0, 246.0, 352.0, 498.0, 700.0, 990.0]
    for ring, (near, middle, far) in enumerate(zip(radii, radii[1:], radii[2:], strict=False)):
        for k in range(16):
            angle = (k + ring % 2 / 2) * step
            kite = [at(centre, near, angle), at(centre, middle, angle - step / 2)]
            kite += [at(centre, far, angle), at(centre, middle, angle + step / 2)]
            canvas.fill((2, 3, 1, 3, 2, 3, 4, 4)[ring], kite)
            canvas.stroke(PAPER, kite, 5)
    canvas.fill(1, star(16, centre, radii[1] - 6, radii[0] - 4, step / 2))
    return canvas


def main() -> None:
    """Draw all pictures and refuse one that is too heavy for a mail."""
    MEDIA.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        data = draw().png()
        if len(data) > LARGEST_FILE:
            raise SystemExit(f"{name}.png would have {len(data)} bytes; at most {LARGEST_FILE} are wanted.")
        (MEDIA / f"{name}.png").write_bytes(data)
        print(f"{name}.png: {len(data)} bytes")


PICTURES: dict[str, Callable[[], Canvas]] = {
    "guichet-unique": one_counter,
    "bourses-numeriques": training_grants,
    "maisons-de-services": service_houses,
    "premiers-stages": first_placements,
    "bibliotheques-connectees": connected_libraries,
    "paiement-en-ligne": paying_online,
}

if __name__ == "__main__":
    main()
