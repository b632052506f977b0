"""A hook of mkdocs: the changelog becomes a page of the site without a copy of it under docs/."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, and the changelog."""
    root = Path(config.config_file_path).parent
    files.append(File.generated(config, "changelog.md", abs_src_path=str(root / "CHANGELOG.md")))
    return files
