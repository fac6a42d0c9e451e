"""deepbet's brain extraction networks, where the user installed them; HEMAVIEW neither ships nor fetches them."""

from hemaview.segmentation.deepbet.files import is_installed
from hemaview.segmentation.deepbet.finder import deepbet_brain_mask

__all__ = ["deepbet_brain_mask", "is_installed"]
