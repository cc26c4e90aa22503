"""Reading a report's page."""

import json
import re


def data_of(page):
    """The data that the page was written with."""
    (text,) = re.findall(r'id="data">(.*?)</script>', page.read_text())
    return json.loads(text)
