"""A byte-level BPE vocabulary in CLIP's format, learnt from the caption grammar.

Every word of the grammar becomes one token; other words fall apart into letters and syllables and still tokenise.
"""
import collections
import json
import os
import random
import re

import torch

import captions
from dataset import scene_of

START, END = "<|startoftext|>", "<|endoftext|>"
PIECES = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_+")  # letters, one digit, or a run of other signs


def byte_symbols():
    """The printable character that stands for each byte in vocab.json and merges.txt (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


SYMBOLS = byte_symbols()


def split_word(word):
    symbols = [SYMBOLS[byte] for byte in word.encode("utf-8")]
    return symbols[:-1] + [symbols[-1] + "</w>"]


def merge_pair(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def learn_merges(texts):
    """Merges the most frequent pair of neighbours until every word of `texts` is one token."""
    counts = collections.Counter(word for text in texts for word in PIECES.findall(text.lower()))
    words = {word: split_word(word) for word in counts}
    merges = []
    while True:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = {word: merge_pair(symbols, best) for word, symbols in words.items()}


class Tokenizer:
    def __init__(self, merges, max_tokens):
        self.merges, self.max_tokens = merges, max_tokens
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        bases = [SYMBOLS[byte] for byte in sorted(SYMBOLS, key=lambda byte: SYMBOLS[byte])]
        tokens = bases + [base + "</w>" for base in bases] + [a + b for a, b in merges] + [START, END]
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.cache = {}

    def __len__(self):
        return len(self.ids)

    def encode_word(self, word):
        if word not in self.cache:
            symbols = split_word(word)
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if best not in self.ranks:
                    break
                symbols = merge_pair(symbols, best)
            self.cache[word] = [self.ids[symbol] for symbol in symbols]
        return self.cache[word]

    def encode(self, text):
        """Token ids of one text: start, words, end, padded with the end token to the model's length."""
        length = self.max_tokens
        ids = [i for word in PIECES.findall(text.lower()) for i in self.encode_word(word)]
        ids = [self.ids[START]] + ids[:length - 2]
        return ids + [self.ids[END]] * (length - len(ids))

    def save(self, folder):
        """Writes the files of a CLIPTokenizer."""
        os.makedirs(folder, exist_ok=True)

        def added(token):
            return {"content": token, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

        special = {"bos_token": added(START), "eos_token": added(END), "pad_token": END, "unk_token": added(END)}
        tagged = {key: {"__type": "AddedToken", **value} if isinstance(value, dict) else value
                  for key, value in special.items()}
        config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace",
                  "model_max_length": self.max_tokens, "tokenizer_class": "CLIPTokenizer", **tagged}
        for name, content in (("special_tokens_map", special), ("tokenizer_config", config)):
            with open(os.path.join(folder, name + ".json"), "w") as file:
                file.write(json.dumps(content, indent=2) + "\n")
        with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
            json.dump(self.ids, file, ensure_ascii=False)
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
            file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))


def build(recipe):
    """The tokenizer of the recipe's grammar as it is now."""
    rng, world = random.Random(0), recipe.world
    texts = [world.caption(scene_of(world, i), rng) for i in range(8000)] + captions.FILLERS
    return Tokenizer(learn_merges(texts), recipe.text_encoder["max_tokens"])


def read_ids(folder):
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as file:
        return json.load(file)


def build_once(recipe, folder):
    """The tokenizer of a training, kept in `folder`: weights are worth nothing with another vocabulary."""
    tokenizer = build(recipe)
    if not os.path.exists(folder):
        tokenizer.save(folder)
    elif read_ids(folder) != tokenizer.ids:
        raise SystemExit(f"The captions have changed since {folder} was written, and with them the token ids. Start in "
                         "a new working folder; --warm-start with an exported folder carries the weights over.")
    return tokenizer


def carry_embeddings(embeddings, old_ids, tokenizer):
    """Rows of an older vocabulary in this one's order; tokens it did not have start small.

    embeddings: float [old tokens, width]. Returns [tokens, width].
    """
    rows = 0.1 * torch.randn(len(tokenizer), embeddings.shape[1], generator=torch.Generator().manual_seed(0))
    for token, i in tokenizer.ids.items():
        if token in old_ids:
            rows[i] = embeddings[old_ids[token]]
    return rows


def carry_positions(embeddings, length):
    """Position embeddings [old length, width] for texts of another length: cut, or the last row repeated."""
    rows = embeddings[:length]
    return torch.cat([rows, rows[-1:].expand(length - len(rows), -1)])
