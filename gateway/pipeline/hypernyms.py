"""Which of the classifier's labels (ImageNet) say no more than one of the detector's (COCO).

Written for this product from the two label lists: a COCO label, and words of which an ImageNet label of that sort has
at least one.
"""

from __future__ import annotations

from collections.abc import Iterable

_WORDS: dict[str, tuple[str, ...]] = {
    "dog": (
        "dog", "hound", "terrier", "retriever", "spaniel", "shepherd", "collie", "poodle", "husky", "malamute", "corgi",
        "beagle", "boxer", "mastiff", "setter", "pointer", "pinscher", "schnauzer", "dachshund", "chihuahua", "pug",
        "rottweiler", "samoyed", "dalmatian", "whippet", "vizsla", "weimaraner", "papillon", "pekinese", "shih-tzu",
        "kelpie", "komondor", "kuvasz", "schipperke", "groenendael", "malinois", "briard", "affenpinscher", "basenji",
        "leonberg", "newfoundland", "great pyrenees", "pomeranian", "chow", "keeshond", "saluki", "basset", "borzoi",
    ),
    "cat": ("cat", "tabby", "lynx", "cougar", "tiger cat"),
    "bird": ("finch", "robin", "jay", "magpie", "chickadee", "sparrow", "bunting", "bulbul", "goldfinch"),
    "car": ("car", "cab", "limousine", "convertible", "jeep", "minivan", "wagon", "model t", "racer", "grille"),
    "truck": ("truck", "pickup", "van", "lorry"),
    "bus": ("bus", "minibus", "trolleybus"),
    "motorcycle": ("moped", "scooter", "motor"),
    "bicycle": ("bicycle", "bike", "tandem"),
    "horse": ("horse", "sorrel"),
    "elephant": ("elephant", "tusker"),
    "bear": ("bear",),
    "banana": ("banana",),
    "orange": ("orange", "lemon"),
    "apple": ("apple", "granny smith"),
    "sandwich": ("burger", "sandwich", "bagel"),
    "pizza": ("pizza",),
    "hot dog": ("hotdog", "hot dog"),
    "cup": ("cup", "mug", "espresso"),
    "bottle": ("bottle",),
    "wine glass": ("goblet", "wine"),
    "bowl": ("bowl", "soup"),
    "spoon": ("spoon", "ladle", "spatula"),
    "knife": ("knife", "cleaver"),
    "couch": ("couch", "sofa", "studio couch"),
    "chair": ("chair", "rocking", "throne"),
    "dining table": ("table",),
    "potted plant": ("pot", "vase", "plant"),
    "bed": ("bed", "four-poster", "quilt"),
    "tv": ("television", "screen", "monitor"),
    "laptop": ("laptop", "notebook"),
    "book": ("book", "comic"),
    "clock": ("clock",),
    "vase": ("vase",),
    "bench": ("bench",),
    "person": ("suit", "gown", "jersey", "bikini", "groom", "uniform", "diver", "ballplayer"),
}  # fmt: skip


def covered(label: str, found: Iterable[str]) -> bool:
    """Whether a classifier's label only says again what was found as an object."""
    said = label.lower()
    words = set(said.replace(",", " ").replace("-", " ").split())
    for thing in found:
        if thing in said or any(word in words or (len(word) > 4 and word in said) for word in _WORDS.get(thing, ())):
            return True
    return False
