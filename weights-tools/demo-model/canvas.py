"""A small drawing surface, anti-aliased by oversampling. Coordinates count from the top left; one unit is 128 pixels."""
import numpy as np
from PIL import Image, ImageDraw

SIZE = 128
OVERSAMPLING = 3
CELL = 1 / 16  # one latent cell: 8 pixels

# How the light of the sky tints what stands under it: tint colour, its share, brightness.
LIGHT = {
    "day": ((255, 255, 255), 0.0, 1.0), "sunset": ((255, 150, 90), 0.10, 0.97), "night": ((40, 60, 130), 0.16, 0.86),
}


def mix(a, b, share):
    """Colour a with `share` of colour b."""
    return tuple(x + (y - x) * share for x, y in zip(a, b))


def darker(color, share=0.22):
    return mix(color, (0, 0, 0), share)


def lighter(color, share=0.28):
    return mix(color, (255, 255, 255), share)


def to_bytes(color):
    return tuple(int(max(0, min(255, round(value)))) for value in color)


def gradient(stops, height):
    """stops: (position 0..1, colour), ascending. Returns float array [height, 3]."""
    rows = np.linspace(0, 1, height)
    return np.stack([np.interp(rows, [s[0] for s in stops], [s[1][i] for s in stops]) for i in range(3)], 1)


class Canvas:
    """extent: units in width and height; pictures are 128 times as large, and things on them as large as ever."""

    def __init__(self, sky, extent=1):
        self.extent, self.scale = extent, SIZE * OVERSAMPLING
        self.side = extent * self.scale
        self.light = LIGHT[sky]
        self.image = Image.new("RGB", (self.side, self.side))
        self.draw = ImageDraw.Draw(self.image)

    def lit(self, color):
        tint, share, brightness = self.light
        return mix(tuple(value * brightness for value in color), tint, share)

    def fill(self, color, raw):
        return to_bytes(color if raw else self.lit(color))

    def box(self, x0, y0, x1, y1):
        return [x0 * self.scale, y0 * self.scale, x1 * self.scale, y1 * self.scale]

    def points(self, points):
        return [(x * self.scale, y * self.scale) for x, y in points]

    def polygon(self, points, color, raw=False):
        self.draw.polygon(self.points(points), fill=self.fill(color, raw))

    def ellipse(self, x, y, rx, ry, color, raw=False):
        self.draw.ellipse(self.box(x - rx, y - ry, x + rx, y + ry), fill=self.fill(color, raw))

    def rectangle(self, x0, y0, x1, y1, color, raw=False):
        self.draw.rectangle(self.box(x0, y0, x1, y1), fill=self.fill(color, raw))

    def rounded(self, x0, y0, x1, y1, radius, color):
        self.draw.rounded_rectangle(self.box(x0, y0, x1, y1), radius=radius * self.scale, fill=self.fill(color, False))

    def dome(self, x0, y0, x1, y1, color):
        """The upper half of an ellipse."""
        self.draw.pieslice(self.box(x0, y0, x1, y1), 180, 360, fill=self.fill(color, False))

    def line(self, points, width, color, raw=False):
        self.draw.line(self.points(points), fill=self.fill(color, raw), width=max(1, int(width * self.scale)),
                       joint="curve")

    def fill_rows(self, y, stops):
        """A vertical gradient from height y down to the bottom."""
        top = int(y * self.scale)
        rows = np.clip(gradient(stops, self.side - top), 0, 255).astype(np.uint8)
        strip = np.repeat(rows[:, None], self.side, 1)
        self.image.paste(Image.fromarray(strip), (0, top))

    def pixel(self, x, y):
        last = self.side - 1
        return self.image.getpixel((int(max(0, min(last, x * self.scale))), int(max(0, min(last, y * self.scale)))))

    def picture(self):
        """uint8 array [128 * extent, 128 * extent, 3]."""
        return np.asarray(self.image.reduce(OVERSAMPLING))
