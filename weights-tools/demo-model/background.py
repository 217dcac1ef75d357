"""Sky, lights, clouds, mountains and ground.

Chance decides little here: everything has one or two fixed places and shapes, in step with the latent cells, so that a
small model learns them in a short training.
"""
import math

from canvas import CELL, lighter, mix
from scene import SEA_KINDS

SKY = {
    "day": [(0, (86, 160, 232)), (0.65, (178, 220, 246)), (1, (206, 234, 248))],
    "sunset": [(0, (112, 76, 146)), (0.35, (232, 116, 110)), (0.65, (252, 178, 96)), (1, (254, 214, 130))],
    "night": [(0, (14, 20, 52)), (0.65, (38, 52, 104)), (1, (52, 66, 120))],
}
SUN = {"yellow": (255, 222, 66), "orange": (255, 146, 30), "red": (228, 48, 38)}
MOON = {"white": (240, 242, 248), "yellow": (252, 220, 96)}
LIGHT_X = {"left": 3 * CELL, "center": 8 * CELL, "right": 13 * CELL}
STARS = [(1, 1), (3, 4), (5, 2), (6, 6), (8, 1), (9, 5), (11, 3), (12, 7), (14, 1), (15, 5)]
CLOUDS = [(3, 3), (13, 3), (8, 2)]
MOUNTAINS = [(2, 0.18), (7, 0.24), (13, 0.2)]
MOUNTAIN = {"day": (122, 138, 176), "sunset": (128, 84, 124), "night": (44, 50, 92)}
SNOW_CAP = {"day": (244, 248, 252), "sunset": (250, 206, 176), "night": (140, 150, 190)}
GROUND = {"meadow": (104, 178, 84), "snow": (236, 242, 250), "desert": (236, 196, 120)}
GROUND_FAR = {"meadow": (140, 190, 140), "snow": (176, 200, 226), "desert": (220, 160, 96)}
SEA = {"day": (44, 130, 190), "sunset": (136, 92, 148), "night": (30, 54, 104)}
SEA_FAR = {"day": (84, 178, 214), "sunset": (236, 150, 120), "night": (44, 76, 132)}
BEACH = (238, 214, 160)


def jitter(color, rng, amount=3):
    """The colour, a little lighter or darker."""
    shift = rng.uniform(-amount, amount)
    return tuple(value + shift for value in color)


def draw_background(canvas, scene, rng):
    """Everything behind the objects."""
    horizon = 10 * CELL
    canvas.fill_rows(0, [(at, jitter(color, rng)) for at, color in SKY[scene["sky"]]])
    if scene["sky"] == "night":
        for column, row in STARS:
            canvas.ellipse((column - 0.5) * CELL, (row - 0.5) * CELL, 0.0095, 0.0095, (255, 248, 215), raw=True)
    if scene["sun"]:
        draw_sun(canvas, scene["sun"])
    if scene["moon"]:
        draw_moon(canvas, scene["moon"])
    if scene["clouds"]:
        for column, row in CLOUDS:
            draw_cloud(canvas, column * CELL, row * CELL)
    if scene["mountains"]:
        draw_mountains(canvas, scene["sky"], horizon, rng)
    if scene["ground"] == "sea":
        draw_sea(canvas, scene, horizon, rng)
    else:
        draw_land(canvas, scene, horizon, rng)


def draw_sun(canvas, sun, places=LIGHT_X):
    x, y, color = places[sun["position"]], 3.5 * CELL, SUN[sun["color"]]
    for radius, share in ((0.125, 0.75), (0.105, 0.5)):
        canvas.ellipse(x, y, radius, radius, mix(color, canvas.pixel(x, y + 0.15), share), raw=True)
    canvas.ellipse(x, y, 0.083, 0.083, color, raw=True)


def draw_moon(canvas, moon, places=LIGHT_X):
    x, y, color = places[moon["position"]], 3 * CELL, MOON[moon["color"]]
    canvas.ellipse(x, y, 0.115, 0.115, mix(canvas.pixel(x, y), color, 0.16), raw=True)
    canvas.ellipse(x, y, 0.083, 0.083, color, raw=True)
    for dx, dy, radius in ((-0.025, -0.02, 0.018), (0.03, 0.015, 0.014), (-0.01, 0.04, 0.012)):
        canvas.ellipse(x + dx, y + dy, radius, radius, mix(color, (120, 124, 150), 0.3), raw=True)


def draw_cloud(canvas, x, y):
    white = (252, 253, 255)
    for dx, dy, rx, ry in ((-0.07, 0.01, 0.05, 0.035), (0, -0.015, 0.06, 0.05), (0.065, 0.008, 0.05, 0.037)):
        canvas.ellipse(x + dx, y + dy, rx, ry, white)
    canvas.rounded(x - 0.115, y, x + 0.112, y + 0.045, 0.022, white)


def draw_mountains(canvas, sky, horizon, rng, mountains=MOUNTAINS):
    for column, height in mountains:
        x, width, top, base = column * CELL, 0.26, horizon - height, horizon + 0.02
        color = jitter(MOUNTAIN[sky], rng)
        canvas.polygon([(x - width, base), (x, top), (x + width, base)], color, raw=True)
        canvas.polygon([(x, top), (x + width, base), (x + 0.08 * width, base)], mix(color, (0, 0, 0), 0.14), raw=True)
        cap = [(0, 0), (-0.28, 0.28), (-0.1, 0.22), (0.04, 0.32), (0.14, 0.22), (0.28, 0.28)]
        canvas.polygon([(x + dx * width, top + dy * height) for dx, dy in cap], SNOW_CAP[sky], raw=True)


def draw_hill(canvas, y, amplitude, color, phase):
    last = 24 * canvas.extent
    outline = [(i / 24, y + amplitude * math.sin(phase + 5.2 * i / 24)) for i in range(last + 1)]
    bottom = canvas.extent + 0.01
    canvas.polygon(outline + [(canvas.extent, bottom), (0, bottom)], color)


def under_sky(color, sky):
    return tuple(value * factor for value, factor in zip(color, (0.42, 0.5, 0.66))) if sky == "night" else color


def land_colors(sky, ground, rng):
    """Colours of the land far away, in the middle and near."""
    color = under_sky(jitter(GROUND[ground], rng), sky)
    if sky == "night" and ground == "snow":
        color = jitter((142, 156, 196), rng)
    far = mix(color, (40, 54, 100) if sky == "night" else GROUND_FAR[ground], 0.45)
    near = mix(color, (40, 110, 40), 0.16) if ground == "meadow" else lighter(color, 0.06)
    return far, color, near


def draw_land(canvas, scene, horizon, rng):
    far, color, near = land_colors(scene["sky"], scene["ground"], rng)
    draw_hill(canvas, horizon, 0.018, far, 0.0)
    draw_hill(canvas, horizon + CELL, 0.014, color, 2.0)
    draw_hill(canvas, horizon + 3 * CELL, 0.012, near, 4.0)


def draw_sea(canvas, scene, horizon, rng):
    """Water to the bottom under boats and fish, else a strip of it behind a beach."""
    sky = scene["sky"]
    afloat = scene["objects"][0]["kind"] in SEA_KINDS
    near, far = jitter(SEA[sky], rng), jitter(SEA_FAR[sky], rng)
    canvas.fill_rows(horizon, [(0, far), (1, near if afloat else mix(far, near, 0.4))])
    glint = mix(far, (255, 255, 255), 0.15 if sky == "night" else 0.35)
    rows = [(2, 1), (9, 1), (5, 2), (13, 2), (1, 3), (10, 3), (4, 4), (14, 4)] if afloat else [(3, 1), (11, 1)]
    for column, row in rows:
        y, half = horizon + row * CELL - 0.03, 0.03 + 0.012 * row
        canvas.line([(column * CELL - half, y), (column * CELL + half, y)], 0.009, glint, raw=True)
    if not afloat:
        draw_hill(canvas, horizon + 2 * CELL, 0.006, under_sky(jitter(BEACH, rng), sky), 0.0)
