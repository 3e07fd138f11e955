"""The core's sentences as a page says them: its fields in the place of command-line options."""

import re

from trust_core.audit.options import OPTIONS
from trust_core.data.uploads import UPLOADS
from trust_core.errors import TrustError
from trust_core.figures.words.markup import unbroken
from trust_core.messages import Message, flag

FIELDS = {
    name: option
    for group in OPTIONS.values()
    for option in group
    for name in (option.name, option.flag)
    if name and option.label
}
FLAG = re.compile(r"(?<![\w/.-])--([a-z-]+)")  # in what a worker said on its terminal, or long ago
# In no path; with the article before it, which is another one for a photo.
IMAGE = re.compile(r"(?<![\w/.-])(?:(a)n )?(i)mage(s?)(?![\w/-]|\.\w)", re.IGNORECASE)
UPLOADED = re.compile(rf"\S*/{UPLOADS}/[0-9a-f]{{16}}/")  # means nothing to who dropped the file


def page_text(sentence: str | TrustError) -> str:
    """A sentence of the core, or that of an error, in the words of the page.

    >>> page_text(Message("Check {size} and {channels}."))
    'Check “Size” and “Channels”.'
    """
    text: str = sentence.args[0] if isinstance(sentence, TrustError) else sentence
    if isinstance(text, Message):
        text = text.render(field_words)
    else:
        text = FLAG.sub(lambda option: field_words(option[1].replace("-", "_")), text)
    return unbroken(photo_words(UPLOADED.sub("", text)))


def photo_words(text: str) -> str:
    """A text of the core, which speaks of images, with the word that pages have for them.

    >>> photo_words("Images: 2 masks beside an image of /data/images.")
    'Photos: 2 masks beside a photo of /data/images.'
    """
    return IMAGE.sub(_photo, text)


def _photo(found: re.Match[str]) -> str:
    article, first, plural = found.groups()
    word = ("P" if first == "I" else "p") + "hoto" + plural
    return f"{article} {word}" if article else word


def field_words(name: str, value: str = "") -> str:
    """The field of an option, and a value beside it; the option itself where there is no field."""
    option = FIELDS.get(name)
    if option is None:
        return flag(name, value)
    if value in option.choices:
        return f"“{option.choices[value]}”"
    label = f"“{option.label}”"
    return label if not value or value.isupper() else f"{label} {value}"
