"""What embeddings retrieve, to look at: one page that holds all it shows, and plots.

``write_report`` writes both, as PNG files beside an HTML page. The commands call it.
``write_picture_page`` writes a page of rows of pictures, such as what a search finds.
"""

from ._contents import EmbeddedImages as EmbeddedImages
from ._picture_page import Picture as Picture
from ._picture_page import PicturePage as PicturePage
from ._picture_page import PictureRow as PictureRow
from ._picture_page import write_picture_page as write_picture_page
from ._report import FILES as FILES
from ._report import PAGE as PAGE
from ._report import missing_packages as missing_packages
from ._report import write_report as write_report
from ._training_plot import save_plot as save_plot

__all__ = [
    "FILES",
    "PAGE",
    "EmbeddedImages",
    "Picture",
    "PicturePage",
    "PictureRow",
    "missing_packages",
    "save_plot",
    "write_picture_page",
    "write_report",
]
