"""Checks what the recipes draw and tell, without training anything. Some seconds; needs NumPy, Pillow and PyTorch.

    python3 check.py
"""
import json
import os
import random
import re
import unittest

import numpy as np

import captions
import export
import scenes.scene
import tokenizer
from config import DEMO, RECIPES, SCENES
from dataset import draw, scene_of

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "demo")
SCENES_TO_CHECK = range(600)


def named(thing, text):
    """How often a caption names this thing with its texture and colour."""
    names = "|".join(captions.NAMES[thing["kind"]])
    texture = thing["texture"] + " " if thing["texture"] else ""
    return len(re.findall(rf"\ban? {texture}{thing['color']} ({names})\b", text))


class Scenes(unittest.TestCase):
    def test_no_two_things_of_a_kind_or_in_a_place(self):
        counts = set()
        for index in SCENES_TO_CHECK:
            things = scene_of(SCENES.world, index)["objects"]
            counts.add(len(things))
            self.assertEqual(len({thing["kind"] for thing in things}), len(things))
            self.assertEqual(len({(thing["row"], thing["position"]) for thing in things}), len(things))
        self.assertEqual(counts, set(scenes.scene.COUNTS))

    def test_boats_and_fish_are_in_the_back_by_the_sea(self):
        for index in SCENES_TO_CHECK:
            scene = scene_of(SCENES.world, index)
            for thing in scene["objects"]:
                afloat = scene["ground"] == "sea" and thing["row"] == "back"
                self.assertEqual(thing["kind"] in ("boat", "fish"), afloat)

    def test_captions_name_everything_once(self):
        for index in SCENES_TO_CHECK:
            scene = scene_of(SCENES.world, index)
            text = SCENES.world.caption(scene, random.Random(index))
            for thing in scene["objects"]:
                self.assertEqual(named(thing, text), 1, f"{thing} in: {text}")

    def test_relations_hold(self):
        columns = ("left", "center", "right")
        for index in SCENES_TO_CHECK:
            scene = scene_of(SCENES.world, index)
            text = SCENES.world.caption(scene, random.Random(index))
            by_name = {name: thing for thing in scene["objects"] for name in captions.NAMES[thing["kind"]]}
            name = "(" + "|".join(sorted(by_name, key=len, reverse=True)) + ")"
            for one, relation, other in re.findall(
                    rf"{name} (behind|in front of|above|over|below|under|(?:to the )?(?:left|right) of) an? [a-z ]*?{name}\b",
                    text):
                a, b = by_name[one], by_name[other]
                if relation.endswith("left of"):
                    fine = a["row"] == b["row"] and columns.index(a["position"]) < columns.index(b["position"])
                elif relation.endswith("right of"):
                    fine = a["row"] == b["row"] and columns.index(a["position"]) > columns.index(b["position"])
                else:
                    rows = {"behind": ("back", "front"), "in front of": ("front", "back")}.get(relation)
                    aloft = relation in ("above", "over")
                    fine = a["position"] == b["position"] and (
                        (a["row"], b["row"]) == rows if rows else (a["row"] == "sky") == aloft != (b["row"] == "sky"))
                self.assertTrue(fine, f"{one} {relation} {other}: {text}")

    def test_textures_and_places_show(self):
        plain = {"sky": "day", "ground": "meadow", "sun": None, "moon": None, "mountains": False, "clouds": False}

        def picture(**changes):
            thing = {"kind": "house", "color": "red", "texture": None, "row": "back", "position": "left", **changes}
            return SCENES.world.draw_scene({**plain, "objects": [thing]}, 0).astype(int)

        pictures = [picture(), *(picture(texture=texture) for texture in scenes.scene.TEXTURES),
                    picture(position="right"), picture(row="front")]
        for i, one in enumerate(pictures):
            for other in pictures[:i]:
                self.assertGreater(np.abs(one - other).sum(), 10_000)


class Recipes(unittest.TestCase):
    def test_drawings_are_the_same_each_time_and_of_the_recipe_s_size(self):
        for recipe in RECIPES.values():
            one, other = draw(recipe.world, 5), draw(recipe.world, 5)
            self.assertEqual(one.shape, (recipe.world.size, recipe.world.size, 3))
            self.assertTrue((one == other).all())

    def test_captions_fit_but_for_few(self):
        for recipe in RECIPES.values():
            words, texts = tokenizer.build(recipe), [
                recipe.world.caption(scene_of(recipe.world, index), random.Random(index)) for index in SCENES_TO_CHECK]
            end = words.ids[tokenizer.END]
            cut = sum(words.encode(text)[-2] != end for text in texts)
            self.assertLess(cut, 0.05 * len(texts))

    def test_the_demo_s_vocabulary_is_the_one_of_its_model(self):
        self.assertEqual(tokenizer.build(DEMO).ids, tokenizer.read_ids(os.path.join(MODEL, "tokenizer")))

    def test_the_demo_s_configs_are_those_of_its_model(self):
        written = {"unet": export.unet_config(DEMO.unet, DEMO.latent_size),
                   "vae": export.autoencoder_config(DEMO.autoencoder, DEMO.world.size),
                   "text_encoder": export.text_encoder_config(DEMO.text_encoder, len(tokenizer.build(DEMO)))}
        for name, config in written.items():
            with open(os.path.join(MODEL, name, "config.json")) as file:
                self.assertEqual(config, json.load(file))

    def test_words_and_positions_are_carried_into_another_recipe(self):
        words, old = tokenizer.build(SCENES), tokenizer.build(DEMO)
        key = "text_model.embeddings.{}_embedding.weight"
        text = export.load_states(MODEL, words)["text_encoder"]
        same = export.load_states(MODEL, old)["text_encoder"]
        tokens, positions = text[key.format("token")], text[key.format("position")]
        self.assertEqual((len(tokens), len(positions)), (len(words), SCENES.text_encoder["max_tokens"]))
        self.assertNotEqual(words.ids["barn</w>"], old.ids["barn</w>"])
        for word in ("barn</w>", "sunset</w>", tokenizer.END):
            self.assertTrue((tokens[words.ids[word]] == same[key.format("token")][old.ids[word]]).all())
        self.assertTrue((positions[:32] == same[key.format("position")]).all())
        self.assertTrue((positions[32:] == positions[31]).all())


if __name__ == "__main__":
    unittest.main()
