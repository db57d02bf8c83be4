"""Writes new apps, and new features in them; it knows nothing of the rest of Leyden but its templates."""

from leyden.scaffold.errors import ScaffoldError
from leyden.scaffold.features import Feature, write_feature
from leyden.scaffold.projects import DATABASES, write_project

__all__ = ["DATABASES", "Feature", "ScaffoldError", "write_feature", "write_project"]
