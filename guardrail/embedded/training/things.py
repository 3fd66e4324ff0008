"""The vocabulary of the world: categories of harm, things and places.

Pure data. Knows nothing of pixels, activities or wording.
"""

from __future__ import annotations

from dataclasses import dataclass

CATEGORIES: tuple[str, ...] = (
    "physical-danger",
    "child-at-risk",
    "property-damage",
    "offence",
    "medical",
    "privacy",
    "illegal-act",
)

SKIN_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


@dataclass(frozen=True)
class Thing:
    """One kind of thing that can be in a picture.

    Attributes:
        key: Name used in tables and file names.
        phrase: Noun phrase with its article.
        icons: Names it goes by in the icon sets, most common first.
        person: Whether it is drawn as a figure with a body that can hold things.
    """

    key: str
    phrase: str
    icons: tuple[str, ...]
    person: bool = False

    @property
    def noun(self) -> str:
        """The phrase without its article."""
        return self.phrase.split(" ", 1)[1]


def _thing(key: str, icons: str = "", phrase: str = "", *, person: bool = False) -> Thing:
    article = "an" if key[0] in "aeiou" else "a"
    names = tuple(icons.split()) or (key.replace(" ", "-"),)
    return Thing(key, phrase or f"{article} {key}", names, person)


_THINGS = (
    _thing("girl", "girl", person=True),
    _thing("baby", "baby", person=True),
    _thing("man", "person-beard man-beard bearded-person man", person=True),
    _thing("dog", "dog-face dog"),
    _thing("cat", "cat-face cat"),
    _thing("bear", "bear bear-face"),
    _thing("snake", "snake"),
    _thing("crocodile", "crocodile"),
    _thing("shark", "shark"),
    _thing("bird", "bird"),
    _thing("butterfly", "butterfly"),
    _thing("knife", "kitchen-knife hocho"),
    _thing("loaf of bread", "bread"),
    _thing("cake", "birthday-cake"),
    _thing("apple", "red-apple apple redapple"),
    _thing("mushroom", "mushroom"),
    _thing("peanut", "peanuts", "some peanuts"),
    _thing("egg", "egg"),
    _thing("glass of milk", "glass-of-milk milk"),
    _thing("beer", "beer-mug beer beermug"),
    _thing("pill", "pill"),
    _thing("syringe", "syringe"),
    _thing("axe", "axe"),
    _thing("log", "wood"),
    _thing("ladder", "ladder"),
    _thing("candle", "candle"),
    _thing("firecracker", "firecracker"),
    _thing("balloon", "balloon"),
    _thing("gift", "wrapped-gift wrapped-present gift"),
    _thing("car", "automobile car"),
    _thing("motorcycle", "motorcycle racing-motorcycle"),
    _thing("boat", "sailboat boat"),
    _thing("laptop", "laptop laptop-computer personal-computer"),
    _thing("phone", "mobile-phone mobilephone"),
    _thing("camera", "camera"),
    _thing("credit card", "credit-card creditcard"),
    _thing("letter", "envelope"),
    _thing("lock", "locked lock"),
    _thing("painting", "framed-picture frame-with-picture"),
    _thing("vase", "amphora"),
    _thing("book", "blue-book orange-book closed-book green-book"),
    _thing("palette", "artist-palette artistpalette", "a paint palette"),
    _thing("drum", "drum drum-with-drumsticks"),
    _thing("guitar", "guitar"),
    _thing("trumpet", "trumpet"),
    _thing("ball", "soccer-ball soccerball"),
    _thing("teddy bear", "teddy-bear"),
    _thing("kite", "kite"),
    _thing("tulip", "tulip"),
    _thing("window", "window"),
    _thing("bathtub", "bathtub"),
    _thing("bow and arrow", "bow-and-arrow bowandarrow"),
    _thing("coconut", "coconut"),
)

THINGS: dict[str, Thing] = {thing.key: thing for thing in _THINGS}

PLACES: dict[str, str] = {
    "kitchen": "in a kitchen",
    "street": "on a street",
    "forest": "in a forest",
    "beach": "on a beach",
    "cliff": "at the edge of a cliff",
    "rooftop": "at the edge of a rooftop",
    "cemetery": "in a cemetery",
    "church": "in a church",
    "office": "in an office",
    "bedroom": "in a bedroom",
    "hospital": "in a hospital",
    "gas station": "at a gas station",
    "playground": "on a playground",
    "museum": "in a museum",
    "railway": "on a railway track",
    "pool": "at a swimming pool",
    "garden": "in a garden",
    "gym": "in a gym",
    "library": "in a library",
    "frozen lake": "on a frozen lake",
}
