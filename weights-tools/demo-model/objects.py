"""The objects. Each function draws one kind at (x, y), its foot, scaled by s, in the given colour."""
import math

from canvas import darker, lighter, mix


def glass(canvas):
    """Windows shine at night."""
    return (255, 224, 120) if canvas.light[2] < 0.9 else (190, 226, 244)


def house(canvas, x, y, s, color):
    half, height = 0.16 * s, 0.21 * s
    canvas.rectangle(x - half, y - height, x + half, y, color)
    canvas.rectangle(x + half * 0.62, y - height, x + half, y, darker(color))
    canvas.rectangle(x + half * 0.4, y - height - 0.15 * s, x + half * 0.66, y - height, (150, 96, 78))
    canvas.polygon([(x - half * 1.2, y - height), (x, y - height - 0.16 * s), (x + half * 1.2, y - height)],
                   (122, 70, 52))
    canvas.rectangle(x - 0.034 * s, y - 0.12 * s, x + 0.034 * s, y, (98, 62, 44))
    for dx in (-0.1, 0.1):
        canvas.rectangle(x + (dx - 0.038) * s, y - 0.17 * s, x + (dx + 0.038) * s, y - 0.094 * s, (250, 250, 246))
        canvas.rectangle(x + (dx - 0.026) * s, y - 0.158 * s, x + (dx + 0.026) * s, y - 0.106 * s, glass(canvas),
                         raw=True)


def barn(canvas, x, y, s, color):
    half, height, white = 0.18 * s, 0.19 * s, (250, 248, 240)
    ridge = [(-1, 0), (-0.72, 0.085), (0, 0.14), (0.72, 0.085), (1, 0)]
    outline = [(x + dx * half, y - height - dy * s) for dx, dy in ridge]
    canvas.polygon([(x - half, y)] + outline + [(x + half, y)], color)
    canvas.line([(x + dx * half * 1.05, y - height - dy * 1.05 * s + 0.003) for dx, dy in ridge], 0.03 * s,
                (92, 84, 92))
    door = 0.085 * s
    canvas.rectangle(x - door, y - 0.16 * s, x + door, y, white)
    canvas.rectangle(x - door * 0.76, y - 0.14 * s, x + door * 0.76, y, darker(color))
    canvas.line([(x - door * 0.75, y - 0.14 * s), (x + door * 0.75, y)], 0.02 * s, white)
    canvas.line([(x + door * 0.75, y - 0.14 * s), (x - door * 0.75, y)], 0.02 * s, white)
    canvas.rectangle(x - 0.032 * s, y - height - 0.08 * s, x + 0.032 * s, y - height - 0.015 * s, glass(canvas),
                     raw=True)


def tree(canvas, x, y, s, color):
    trunk = [(-0.028, 0), (-0.02, -0.2), (0.02, -0.2), (0.028, 0)]
    canvas.polygon([(x + dx * s, y + dy * s) for dx, dy in trunk], (118, 78, 50))
    leaves = ((-0.085, -0.22, 0.085), (0.085, -0.22, 0.085), (0, -0.2, 0.09), (-0.05, -0.31, 0.085),
              (0.05, -0.31, 0.085),
              (0, -0.37, 0.075))
    for dx, dy, radius in leaves:
        canvas.ellipse(x + dx * s, y + dy * s, radius * s, radius * s, darker(color) if dx > 0.06 else color)
    for dx, dy, radius in ((-0.05, -0.27, 0.09), (-0.01, -0.34, 0.07)):
        canvas.ellipse(x + dx * s, y + dy * s, radius * s, radius * s, color)
    for dx, dy in ((-0.06, -0.34), (-0.08, -0.24), (0.0, -0.27)):
        canvas.ellipse(x + dx * s, y + dy * s, 0.026 * s, 0.02 * s, lighter(color))


def flower(canvas, x, y, s, color):
    canvas.line([(x, y), (x, y - 0.24 * s)], 0.024 * s, (56, 130, 60))
    canvas.polygon([(x, y - 0.03 * s), (x - 0.1 * s, y - 0.11 * s), (x, y - 0.09 * s)], (70, 150, 70))
    canvas.polygon([(x, y - 0.05 * s), (x + 0.1 * s, y - 0.13 * s), (x, y - 0.11 * s)], (56, 130, 60))
    center = y - 0.3 * s
    for i in range(6):
        angle = i * math.pi / 3
        canvas.ellipse(x + 0.08 * s * math.cos(angle), center + 0.08 * s * math.sin(angle), 0.056 * s, 0.056 * s,
                       darker(color, 0.15) if i % 2 else color)
    yellowish = color[0] > 200 and color[1] > 170 and color[2] < 150
    canvas.ellipse(x, center, 0.055 * s, 0.055 * s, (120, 70, 40) if yellowish else (250, 214, 70))


def car(canvas, x, y, s, color):
    half, y = 0.19 * s, y - 0.03 * s
    canvas.polygon([(x - half * 0.66, y - 0.09 * s), (x - half * 0.42, y - 0.18 * s), (x + half * 0.3, y - 0.18 * s),
                    (x + half * 0.6, y - 0.09 * s)], color)
    for x0, x1, x2, x3 in ((-0.5, -0.35, -0.06, -0.06), (0.06, 0.06, 0.24, 0.44)):
        canvas.polygon([(x + x0 * half, y - 0.092 * s), (x + x1 * half, y - 0.162 * s), (x + x2 * half, y - 0.162 * s),
                        (x + x3 * half, y - 0.092 * s)], glass(canvas))
    canvas.rounded(x - half, y - 0.1 * s, x + half, y, 0.03 * s, color)
    canvas.rectangle(x - half * 0.96, y - 0.035 * s, x + half * 0.96, y - 0.012 * s, darker(color))
    canvas.ellipse(x + half * 0.92, y - 0.06 * s, 0.016 * s, 0.018 * s, (255, 244, 180))
    for dx in (-0.56, 0.56):
        canvas.ellipse(x + dx * half, y, 0.046 * s, 0.046 * s, (40, 40, 46))
        canvas.ellipse(x + dx * half, y, 0.021 * s, 0.021 * s, (200, 200, 206))


def cat(canvas, x, y, s, color):
    tail = [(0.08, -0.03), (0.15, -0.05), (0.165, -0.12), (0.14, -0.16)]
    canvas.line([(x + dx * s, y + dy * s) for dx, dy in tail], 0.034 * s, darker(color))
    canvas.ellipse(x, y - 0.085 * s, 0.1 * s, 0.09 * s, color)
    canvas.ellipse(x, y - 0.06 * s, 0.055 * s, 0.06 * s, lighter(color))
    head = y - 0.235 * s
    for side in (-1, 1):
        ear = [(0.1, -0.14), (0.108, 0), (0.015, -0.07)]
        inner = [(0.086, -0.105), (0.088, -0.03), (0.045, -0.065)]
        canvas.polygon([(x + side * dx * s, head + dy * s) for dx, dy in ear], color)
        canvas.polygon([(x + side * dx * s, head + dy * s) for dx, dy in inner], (236, 150, 150))
    canvas.ellipse(x, head, 0.115 * s, 0.098 * s, color)
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.05 * s, head - 0.008 * s, 0.028 * s, 0.032 * s, (250, 250, 240))
        canvas.ellipse(x + side * 0.05 * s, head - 0.006 * s, 0.016 * s, 0.024 * s, (30, 40, 40))
        canvas.ellipse(x + side * 0.055 * s, y - 0.008 * s, 0.038 * s, 0.022 * s, darker(color))
    canvas.polygon([(x - 0.018 * s, head + 0.03 * s), (x + 0.018 * s, head + 0.03 * s), (x, head + 0.052 * s)],
                   (230, 110, 120))


def mushroom(canvas, x, y, s, color):
    canvas.rounded(x - 0.052 * s, y - 0.18 * s, x + 0.052 * s, y, 0.04 * s, (246, 234, 212))
    canvas.rectangle(x + 0.015 * s, y - 0.15 * s, x + 0.042 * s, y - 0.02 * s, (222, 206, 180))
    canvas.dome(x - 0.165 * s, y - 0.34 * s, x + 0.165 * s, y - 0.01 * s, color)
    canvas.ellipse(x, y - 0.172 * s, 0.165 * s, 0.028 * s, darker(color))
    spot = (206, 60, 56) if sum(color) > 690 else (250, 248, 240)
    for dx, dy, radius in ((-0.092, -0.225, 0.028), (0, -0.28, 0.034), (0.092, -0.225, 0.028), (0, -0.212, 0.02)):
        canvas.ellipse(x + dx * s, y + dy * s, radius * s, radius * s * 0.9, spot)


def boat(canvas, x, y, s, color):
    canvas.ellipse(x, y + 0.012, 0.19 * s, 0.018, mix(canvas.pixel(x, 0.95), (255, 255, 255), 0.3), raw=True)
    canvas.rectangle(x - 0.01 * s, y - 0.42 * s, x + 0.01 * s, y - 0.06 * s, (96, 66, 46))
    canvas.polygon([(x + 0.018 * s, y - 0.41 * s), (x + 0.018 * s, y - 0.1 * s), (x + 0.18 * s, y - 0.1 * s)], color)
    canvas.polygon([(x - 0.018 * s, y - 0.36 * s), (x - 0.018 * s, y - 0.1 * s), (x - 0.13 * s, y - 0.1 * s)],
                   darker(color))
    canvas.polygon([(x - 0.19 * s, y - 0.075 * s), (x + 0.19 * s, y - 0.075 * s), (x + 0.135 * s, y + 0.012 * s),
                    (x - 0.135 * s, y + 0.012 * s)], (134, 84, 54))
    canvas.rectangle(x - 0.18 * s, y - 0.075 * s, x + 0.18 * s, y - 0.052 * s, (240, 232, 214))


def fish(canvas, x, y, s, color):
    canvas.polygon([(x - 0.1 * s, y), (x - 0.21 * s, y - 0.085 * s), (x - 0.18 * s, y), (x - 0.21 * s, y + 0.085 * s)],
                   darker(color))
    canvas.polygon([(x - 0.06 * s, y - 0.05 * s), (x, y - 0.14 * s), (x + 0.07 * s, y - 0.05 * s)], darker(color))
    canvas.ellipse(x, y, 0.145 * s, 0.088 * s, color)
    canvas.ellipse(x + 0.012 * s, y + 0.028 * s, 0.1 * s, 0.046 * s, lighter(color))
    canvas.polygon([(x - 0.01 * s, y + 0.005 * s), (x - 0.07 * s, y + 0.05 * s), (x + 0.03 * s, y + 0.03 * s)],
                   darker(color))
    canvas.ellipse(x + 0.085 * s, y - 0.02 * s, 0.028 * s, 0.028 * s, (252, 252, 250))
    canvas.ellipse(x + 0.09 * s, y - 0.02 * s, 0.015 * s, 0.015 * s, (20, 20, 30))


def balloon(canvas, x, y, s, color):
    radius = 0.14 * s
    canvas.polygon([(x - radius * 0.62, y + radius * 0.75), (x + radius * 0.62, y + radius * 0.75),
                    (x + radius * 0.22, y + radius * 1.45), (x - radius * 0.22, y + radius * 1.45)], darker(color))
    canvas.ellipse(x, y, radius, radius * 1.05, color)
    canvas.ellipse(x, y, radius * 0.64, radius * 1.05, darker(color) if sum(color) > 700 else lighter(color))
    canvas.ellipse(x, y, radius * 0.28, radius * 1.05, color)
    for side in (-1, 1):
        canvas.line([(x + side * radius * 0.2, y + radius * 1.4), (x + side * radius * 0.2, y + radius * 1.7)], 0.009,
                    (80, 60, 50))
    canvas.rounded(x - radius * 0.3, y + radius * 1.65, x + radius * 0.3, y + radius * 2.05, 0.012 * s, (146, 96, 58))


def kite(canvas, x, y, s, color):
    tail = [(x + 0.03 * math.sin(i * 1.3) * s, y + (0.16 + 0.035 * i) * s) for i in range(6)]
    canvas.line(tail, 0.012, mix(color, (90, 80, 80), 0.4))
    for i in (2, 4):
        bow_x, bow_y = tail[i]
        for side in (-1, 1):
            canvas.polygon([(bow_x, bow_y), (bow_x + side * 0.034 * s, bow_y - 0.022 * s),
                            (bow_x + side * 0.034 * s, bow_y + 0.022 * s)], darker(color))
    top, right, bottom, left, middle = ((x, y - 0.18 * s), (x + 0.13 * s, y - 0.03 * s), (x, y + 0.17 * s),
                                        (x - 0.13 * s, y - 0.03 * s), (x, y - 0.03 * s))
    canvas.polygon([top, right, bottom, left], color)
    canvas.polygon([top, right, middle], darker(color) if sum(color) > 700 else lighter(color))
    canvas.polygon([left, middle, bottom], darker(color))
