"""The caption grammar: a scene told in words, one of many ways.

    caption  = [opening] object [("with" | "and") object | side by side] {setting} ["with" extras]
    object   = "a" [colour] name [position]
    setting  = a phrase for the sky, a phrase for the ground; either may be missing
    extras   = sun, moon, mountains, clouds, joined by "and"

Everything below is the whole vocabulary; a phrase listed several times is drawn more often.
"""
from scene import SEA_KINDS, SKY_KINDS

OPENINGS = [""] * 9 + ["a picture of ", "a postcard of ", "an illustration of ", "a painting of ", "a drawing of "]
NAMES = {
    "house": ["house"] * 4 + ["cottage", "home"], "barn": ["barn"], "tree": ["tree"],
    "flower": ["flower"] * 3 + ["tulip"], "car": ["car"], "cat": ["cat"] * 3 + ["kitten"],
    "mushroom": ["mushroom"] * 3 + ["toadstool"], "boat": ["boat"] * 3 + ["sailboat", "ship"],
    "fish": ["fish"], "balloon": ["balloon"] * 2 + ["hot air balloon"], "kite": ["kite"],
}
POSITION_PHRASES = {
    "left": ["on the left", "on the left side"],
    "center": ["in the middle", "in the center"],
    "right": ["on the right", "on the right side"],
}
SIDE_PHRASES = {"left": ["to the left of", "left of"], "right": ["to the right of", "right of"]}
SKY_PHRASES = {
    "day": ["under a blue sky"] * 4 + ["on a sunny day", "during the day", "by day", "on a clear day"],
    "sunset": ["at sunset"] * 4 + ["under an orange sky", "in the evening", "at dusk"],
    "night": ["at night"] * 4 + ["under the stars", "under a starry sky", "under a dark sky"],
}
GROUND_PHRASES = {
    "meadow": ["in a meadow"] * 2 + ["on a green meadow", "on green grass", "in a green field", "on the grass"],
    "snow": ["in the snow"] * 3 + ["in winter", "on snowy ground"],
    "sea": ["by the sea"] * 3 + ["at the beach"],
    "desert": ["in the desert"] * 3 + ["on the sand"],
}
ON_SEA_PHRASES = ["on the sea"] * 3 + ["on the water", "on blue water"]
MOUNTAIN_PHRASES = ["mountains", "mountains in the background", "distant mountains"]
CLOUD_PHRASES = ["clouds", "white clouds"]
# Words that say nothing a picture shows; strewn in so that such words are ignored.
FILLERS = ["beautiful", "cute", "lovely", "nice", "pretty", "colorful", "cartoon", "charming", "simple", "quiet",
           "bright", "small", "little", "tiny", "big", "large"]


def with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def describe(thing, position_probability, rng):
    """One object: "a red barn on the left"."""
    words = [rng.choice(NAMES[thing["kind"]])]
    if rng.random() < 0.97:
        words.insert(0, thing["color"])
    text = with_article(" ".join(words))
    if rng.random() < position_probability:
        text += " " + rng.choice(POSITION_PHRASES[thing["position"]])
    return text


def describe_alone(thing, rng):
    """What stands in the middle need not say so; left and right always do."""
    return describe(thing, 0.3 if thing["position"] == "center" else 1, rng)


def describe_objects(objects, rng):
    first = objects[0]
    if len(objects) == 1:
        return describe_alone(first, rng)
    second = objects[1]
    if second["kind"] in SKY_KINDS:
        joint = rng.choice([" with ", " and ", " and "])
        text = describe_alone(first, rng) + joint + describe(second, 0.7, rng)
        return text + rng.choice(["", " in the sky", " above"])
    order = rng.random()
    if order < 0.3 and first["position"] == "left":  # unless told otherwise, what comes first is on the left
        return describe(first, 0, rng) + " and " + describe(second, 0, rng)
    if order < 0.6:
        return describe(first, 1, rng) + " and " + describe(second, 1, rng)
    one, other = (first, second) if rng.random() < 0.5 else (second, first)
    return " ".join([describe(one, 0, rng), rng.choice(SIDE_PHRASES[one["position"]]), describe(other, 0, rng)])


def describe_light(name, light, rng):
    text = with_article(light["color"] + " " + name)
    return text + (" " + rng.choice(POSITION_PHRASES[light["position"]]) if rng.random() < 0.35 else "")


def describe_extras(scene, rng):
    extras = [describe_light(name, scene[name], rng) for name in ("sun", "moon")
              if scene[name] and rng.random() < 0.85]
    if scene["mountains"] and rng.random() < 0.85:
        extras.append(rng.choice(MOUNTAIN_PHRASES))
    if scene["clouds"] and rng.random() < 0.7:
        extras.append(rng.choice(CLOUD_PHRASES))
    rng.shuffle(extras)
    return extras


def strew_filler(text, rng):
    """Puts a word that means nothing here, or no word at all, somewhere in the caption."""
    if rng.random() < 0.5:
        word = rng.choice(FILLERS)
    else:
        word = "".join(rng.choice("abcdefghijklmnoprstuvwy") for _ in range(rng.randint(3, 6)))
    words = text.split(" ")
    words.insert(rng.randint(0, len(words)), word)
    return " ".join(words)


def caption(scene, rng, filler_probability=0.0):
    """scene: see scene.py; rng: random.Random. Returns one line of text."""
    text = rng.choice(OPENINGS) + describe_objects(scene["objects"], rng)
    settings = []
    if rng.random() < 0.9:
        settings.append(rng.choice(SKY_PHRASES[scene["sky"]]))
    if rng.random() < 0.85:
        on_sea = scene["objects"][0]["kind"] in SEA_KINDS
        settings.append(rng.choice(ON_SEA_PHRASES if on_sea else GROUND_PHRASES[scene["ground"]]))
    text = with_settings(text, settings, [" ", " ", ", "], rng)
    return with_extras(text, scene, rng, filler_probability)


def with_settings(text, settings, separators, rng):
    """Sky and ground behind what is told, or one of them before it."""
    rng.shuffle(settings)
    if settings and rng.random() < 0.12:
        text = settings.pop(0) + ", " + text
    for setting in settings:
        text += rng.choice(separators) + setting
    return text


def with_extras(text, scene, rng, filler_probability):
    extras = describe_extras(scene, rng)
    if extras:
        text += rng.choice([" with ", " with ", ", "]) + " and ".join(extras)
    return strew_filler(text, rng) if rng.random() < filler_probability else text
