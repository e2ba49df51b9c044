"""Writes pdq.json: parameters of synthetic pictures with their hash and quality by PyPI pdqhash.

    pip install pdqhash==0.2.8 numpy==2.4.6
    python3 node/tests/vectors/pdq.py > node/tests/vectors/pdq.json

The pictures are drawn by whole numbers only, here and in node/src/hashing/pdq/tests.rs; no picture is kept.
"""

import json

import numpy
import pdqhash

# width, height, number of shapes, noise
SIZES = [(5, 5), (7, 64), (64, 64), (65, 63), (100, 75), (127, 128), (129, 257), (320, 240), (512, 512),
         (640, 480), (801, 599), (300, 700), (1280, 33), (40, 1000), (63, 129)]


class Draws:
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 8) % bound


def draw(width, height, shapes, noise, seed):
    draws = Draws(seed)
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.int64)
    picture = numpy.zeros((height, width, 3), numpy.int64)
    for channel in range(3):
        a, b, c, d = (draws.below(256) for _ in range(4))
        picture[:, :, channel] = (a * (width - x) * (height - y) + b * x * (height - y)
                                  + c * (width - x) * y + d * x * y) // (width * height)
    for _ in range(shapes):
        is_round = draws.below(2) == 1
        left, top = draws.below(width), draws.below(height)
        across, down = draws.below(width // 2 + 1) + 1, draws.below(height // 2 + 1) + 1
        colour = [draws.below(256) for _ in range(3)]
        if is_round:
            inside = ((x - left) * down) ** 2 + ((y - top) * across) ** 2 <= (across * down) ** 2
        else:
            inside = (x >= left) & (x < left + across) & (y >= top) & (y < top + down)
        picture[inside] = colour
    for channel in range(3):
        mixed = (x * 73856093 + y * 19349663 + channel * 83492791 + seed * 2654435761) % 2**32
        mixed = (mixed ^ (mixed >> 13)) * 1274126177 % 2**32
        picture[:, :, channel] = numpy.minimum(255, picture[:, :, channel] + (mixed >> 16) % (noise + 1))
    return picture.astype(numpy.uint8)


rows = []
for number, (width, height) in enumerate(SIZES):
    for shapes, noise in [(0, 0), (3, 0), (12, 4), (30, 60)]:
        seed = 1000 * number + shapes + noise
        image = numpy.ascontiguousarray(draw(width, height, shapes, noise, seed))
        bits, quality = pdqhash.compute(image)
        hash = numpy.packbits(bits.astype(numpy.uint8)).tobytes().hex()
        rows.append(dict(width=width, height=height, shapes=shapes, noise=noise, seed=seed, hash=hash, quality=quality))
head = {"source": "PyPI pdqhash 0.2.8", "command": "python3 node/tests/vectors/pdq.py > node/tests/vectors/pdq.json"}
print(json.dumps(head)[:-1] + ', "pictures": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}")
