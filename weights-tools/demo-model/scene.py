"""A scene: what a picture shows, as plain data. Sampled here, told by captions.py, drawn by painter.py.

A scene is a dict:
    sky        "day" | "sunset" | "night"
    ground     "meadow" | "snow" | "sea" | "desert"
    objects    one or two of {"kind", "color", "position"}
    sun, moon  None or {"color", "position"}
    mountains, clouds  bool
"""

COLORS = {
    "red": (214, 48, 46), "orange": (243, 134, 34), "yellow": (250, 208, 56),
    "green": (58, 158, 68), "blue": (46, 100, 212), "purple": (134, 70, 180),
    "pink": (244, 130, 178), "white": (246, 245, 240), "black": (50, 48, 58),
}
GROUND_KINDS = ["house", "barn", "tree", "flower", "car", "cat", "mushroom"]
SEA_KINDS = ["boat", "fish"]
SKY_KINDS = ["balloon", "kite"]
KINDS = GROUND_KINDS + SEA_KINDS + SKY_KINDS
SUN_COLORS = ["yellow", "orange", "red"]
MOON_COLORS = ["white", "yellow"]
SKIES = ["day", "sunset", "night"]
GROUNDS = ["meadow", "snow", "sea", "desert"]
POSITIONS = ["left", "center", "right"]


def sample_color(kind, rng):
    if kind == "tree" and rng.random() < 0.3:
        return "green"
    return rng.choice(list(COLORS))


def sample_object(kind, position, rng):
    return {"kind": kind, "color": sample_color(kind, rng), "position": position}


def sample_second(first, rng):
    """A companion for `first`, which may move aside for it. Never of the same kind."""
    if rng.random() < 0.3:
        free = [p for p in ("left", "right") if p != first["position"]]
        return sample_object(rng.choice(SKY_KINDS), rng.choice(free), rng)
    family = SEA_KINDS if first["kind"] in SEA_KINDS else GROUND_KINDS
    kind = rng.choice([k for k in family if k != first["kind"]])
    first["position"], position = rng.choice([("left", "right"), ("right", "left")])
    return sample_object(kind, position, rng)


def sample_light(scene, colors, weights, rng):
    """Sun or moon, away from objects in the sky."""
    used = [o["position"] for o in scene["objects"] if o["kind"] in SKY_KINDS]
    return {"color": rng.choices(colors, weights)[0],
            "position": rng.choice([p for p in POSITIONS if p not in used])}


def sample_scene(rng):
    """rng: random.Random. Returns a scene (see the top of this file)."""
    family = rng.choices([GROUND_KINDS, SEA_KINDS, SKY_KINDS], [70, 18, 12])[0]
    kind = rng.choice(family)
    ground = "sea" if family is SEA_KINDS else rng.choices(GROUNDS, [4, 3, 2, 3])[0]
    first = sample_object(kind, rng.choices(POSITIONS, [1, 2, 1])[0], rng)
    objects = [first]
    if family is not SKY_KINDS and rng.random() < 0.4:
        objects.append(sample_second(first, rng))
    scene = {"sky": rng.choices(SKIES, [5, 3, 3])[0], "ground": ground, "objects": objects,
             "sun": None, "moon": None, "mountains": rng.random() < 0.2, "clouds": False}
    if scene["sky"] == "night":
        if rng.random() < 0.45:
            scene["moon"] = sample_light(scene, MOON_COLORS, [1, 1], rng)
    elif rng.random() < (0.3 if scene["sky"] == "day" else 0.45):
        weights = [4, 2, 1] if scene["sky"] == "day" else [2, 2, 2]
        scene["sun"] = sample_light(scene, SUN_COLORS, weights, rng)
    if scene["sky"] == "day":
        scene["clouds"] = rng.random() < 0.4
    return scene
