"""Sky, lights, clouds, mountains and ground of the larger world, in the colours of the demo's."""
from background import BEACH, CLOUDS, MOUNTAINS, SEA, SEA_FAR, SKY, STARS, draw_cloud, draw_hill, draw_moon, \
    draw_mountains, draw_sun, jitter, land_colors, under_sky
from canvas import CELL, mix
from scenes.textures import textured

HORIZON = 14 * CELL
SHORE = 22 * CELL  # where the sea of the back row ends
LIGHT_X = {"left": 6 * CELL, "center": 16 * CELL, "right": 26 * CELL}
FLOORS = {"bricks": ("brick", (188, 98, 76), (226, 206, 190)), "tiles": ("tiled", (214, 220, 226), (124, 132, 152)),
          "field": ("furrowed", (196, 172, 84), (150, 118, 66))}
GLINTS = [(4, 2), (13, 2), (23, 2), (30, 3), (8, 4), (18, 4), (27, 5), (3, 6), (13, 7), (22, 7)]


def twice(places):
    """Places of the demo's sky, and again beside it."""
    return [(column + shift, row) for shift in (0, 16) for column, row in places]


def draw_background(canvas, scene, rng):
    """Everything behind the objects."""
    canvas.fill_rows(0, [(at, jitter(color, rng)) for at, color in SKY[scene["sky"]]])
    if scene["sky"] == "night":
        for column, row in twice(STARS):
            canvas.ellipse((column - 0.5) * CELL, (row - 0.5) * CELL, 0.0095, 0.0095, (255, 248, 215), raw=True)
    if scene["sun"]:
        draw_sun(canvas, scene["sun"], LIGHT_X)
    if scene["moon"]:
        draw_moon(canvas, scene["moon"], LIGHT_X)
    if scene["clouds"]:
        for column, row in twice(CLOUDS):
            draw_cloud(canvas, column * CELL, (row + 7) * CELL)
    if scene["mountains"]:
        draw_mountains(canvas, scene["sky"], HORIZON, rng, twice(MOUNTAINS))
    if scene["ground"] == "sea":
        draw_sea(canvas, scene["sky"], rng)
    elif scene["ground"] in FLOORS:
        draw_floor(canvas, scene["sky"], FLOORS[scene["ground"]], rng)
    else:
        draw_land(canvas, scene["sky"], scene["ground"], rng)


def draw_land(canvas, sky, ground, rng):
    far, color, near = land_colors(sky, ground, rng)
    draw_hill(canvas, HORIZON, 0.018, far, 0.0)
    draw_hill(canvas, HORIZON + 3 * CELL, 0.014, color, 2.0)
    draw_hill(canvas, HORIZON + 9 * CELL, 0.012, near, 4.0)


def draw_floor(canvas, sky, floor, rng):
    pattern, first, second = floor
    box = 0, HORIZON, canvas.extent, canvas.extent
    shift = rng.uniform(-3, 3)
    colors = (under_sky(tuple(value + shift for value in color), sky) for color in (first, second))
    textured(canvas, pattern, box, lambda color: canvas.rectangle(*box, color), *colors)


def draw_sea(canvas, sky, rng):
    """Water to the shore, and a beach before it."""
    near, far = jitter(SEA[sky], rng), jitter(SEA_FAR[sky], rng)
    canvas.fill_rows(HORIZON, [(0, far), (0.5, near), (1, near)])
    glint = mix(far, (255, 255, 255), 0.15 if sky == "night" else 0.35)
    for column, row in GLINTS:
        y, half = HORIZON + row * CELL - 0.03, 0.03 + 0.012 * row
        canvas.line([(column * CELL - half, y), (column * CELL + half, y)], 0.009, glint, raw=True)
    draw_hill(canvas, SHORE, 0.006, under_sky(jitter(BEACH, rng), sky), 0.0)
