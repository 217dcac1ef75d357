"""The grammar of the larger world's captions.

    caption  = [opening] clauses {sky or ground} ["with" extras]
    clauses  = clause {"," clause} "and" clause
    clause   = object place | object relation object [place]
    object   = "a" [texture] colour name

Openings, names, skies, extras and fillers are the demo's (../captions.py); what is here is what is new.
"""
from captions import FILLERS, GROUND_PHRASES, NAMES, OPENINGS, POSITION_PHRASES, SIDE_PHRASES, SKY_PHRASES, \
    with_article, with_extras, with_settings
from scene import POSITIONS

__all__ = ["FILLERS", "caption"]

ROW_PHRASES = {"sky": ["in the sky"], "back": ["in the back"] * 2 + ["in the background"],
               "front": ["in front"] * 2 + ["in the foreground"]}
BEHIND, BEFORE = ["behind"], ["in front of"]
ABOVE, BELOW = ["above", "above", "over"], ["below", "below", "under"]
GROUNDS = {**GROUND_PHRASES, "bricks": ["on red bricks", "on a brick floor"],
           "tiles": ["on tiles", "on a checked floor"], "field": ["in a field", "in a brown field"]}


def describe(thing, rng):
    """One object: "a striped red barn"."""
    words = [thing["color"], rng.choice(NAMES[thing["kind"]])]
    if thing["texture"]:
        words.insert(0, thing["texture"])
    return with_article(" ".join(words))


def side(thing, rng):
    return rng.choice(POSITION_PHRASES[thing["position"]])


def place(thing, rng):
    """Where a thing is that nothing else in the caption places: "in the back on the left"."""
    return rng.choice(ROW_PHRASES[thing["row"]]) + " " + side(thing, rng)


def relations(one, other, rng):
    """What may be said of two things instead of the place of each: (relation, what is left to say)."""
    if one["row"] == other["row"]:
        before = POSITIONS.index(one["position"]) < POSITIONS.index(other["position"])
        return rng.choice(SIDE_PHRASES["left" if before else "right"]), rng.choice(ROW_PHRASES[one["row"]])
    if one["position"] != other["position"]:
        return None
    if "sky" in (one["row"], other["row"]):
        below = other if one["row"] == "sky" else one
        return rng.choice(ABOVE if one["row"] == "sky" else BELOW), place(below, rng)
    return rng.choice(BEHIND if one["row"] == "back" else BEFORE), side(one, rng)


def clauses(objects, rng):
    """Tells of every object once, in pairs where there is something to say of both."""
    left, told = list(objects), []
    rng.shuffle(left)
    while left:
        one = left.pop(0)
        partners = [other for other in left if relations(one, other, rng)]
        if partners and rng.random() < 0.6:
            other = rng.choice(partners)
            left.remove(other)
            relation, rest = relations(one, other, rng)
            told.append(" ".join([describe(one, rng), relation, describe(other, rng), rest]))
        else:
            told.append(describe(one, rng) + " " + place(one, rng))
    return told


def caption(scene, rng, filler_probability=0.0):
    """scene: see scene.py; rng: random.Random. Returns one line of text."""
    told = clauses(scene["objects"], rng)
    text = rng.choice(OPENINGS) + ", ".join(told[:-1]) + (" and " if len(told) > 1 else "") + told[-1]
    settings = []
    if rng.random() < 0.92:
        settings.append(rng.choice(SKY_PHRASES[scene["sky"]]))
    if rng.random() < 0.92:
        settings.append(rng.choice(GROUNDS[scene["ground"]]))
    text = with_settings(text, settings, [" ", ", ", ", "], rng)
    return with_extras(text, scene, rng, filler_probability)
