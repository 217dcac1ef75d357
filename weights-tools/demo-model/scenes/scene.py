"""A scene of the larger world, as plain data. Sampled here, told by captions.py, drawn by painter.py.

A scene is a dict, as in the demo's world (../scene.py), with more in it:
    sky        "day" | "sunset" | "night"
    ground     "meadow" | "snow" | "sea" | "desert" | "bricks" | "tiles" | "field"
    objects    two to six of {"kind", "color", "texture", "row", "position"}, no kind twice, no place twice
    sun, moon  None or {"color", "position"}
    mountains, clouds  bool
"""
from scene import GROUND_KINDS, MOON_COLORS, POSITIONS, SEA_KINDS, SKIES, SKY_KINDS, SUN_COLORS, sample_color, \
    sample_light

ROWS = ["sky", "back", "front"]
TEXTURES = ["striped", "dotted", "checked"]
GROUNDS = ["meadow", "snow", "sea", "desert", "bricks", "tiles", "field"]
COUNTS = {2: 30, 3: 30, 4: 20, 5: 12, 6: 8}


def kinds_of(row, ground):
    """What may stand in a row: the sea lies in the back, behind a beach."""
    if row == "sky":
        return SKY_KINDS
    return SEA_KINDS if ground == "sea" and row == "back" else GROUND_KINDS


def sample_places(count, rng):
    """As many different (row, position), at most two of them in the sky and at least one below it."""
    aloft = min(rng.choices([0, 1, 2], [50, 38, 12])[0], count - 1)
    below = rng.sample([(row, position) for row in ("back", "front") for position in POSITIONS], count - aloft)
    return below + [("sky", position) for position in rng.sample(POSITIONS, aloft)]


def sample_objects(count, ground, rng):
    objects = []
    for row, position in sample_places(count, rng):
        free = [kind for kind in kinds_of(row, ground) if kind not in [thing["kind"] for thing in objects]]
        if free:  # a row of the sea has three places and two kinds
            kind = rng.choice(free)
            texture = rng.choice(TEXTURES) if rng.random() < 0.35 else None
            objects.append({"kind": kind, "color": sample_color(kind, rng), "texture": texture, "row": row,
                            "position": position})
    return objects


def sample_scene(rng):
    """rng: random.Random. Returns a scene (see the top of this file)."""
    ground = rng.choices(GROUNDS, [4, 3, 4, 3, 2, 2, 2])[0]
    count = rng.choices(list(COUNTS), list(COUNTS.values()))[0]
    scene = {"sky": rng.choices(SKIES, [5, 3, 3])[0], "ground": ground,
             "objects": sample_objects(count, ground, rng),
             "sun": None, "moon": None, "mountains": rng.random() < 0.25, "clouds": False}
    if scene["sky"] == "night":
        if rng.random() < 0.45:
            scene["moon"] = sample_light(scene, MOON_COLORS, [1, 1], rng)
    elif rng.random() < 0.4:
        scene["sun"] = sample_light(scene, SUN_COLORS, [3, 2, 2], rng)
    if scene["sky"] == "day":
        scene["clouds"] = rng.random() < 0.4
    return scene
