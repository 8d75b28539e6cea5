"""Makes the embedded package ``gowsgi`` importable.

Not a module: the server compiles and runs this source in a fresh namespace
with one global, ``_sources``, a dict of module name to source. The finder goes
first, so an installed gowsgi of another version is never mixed in.
"""

import sys

# The class below takes its __module__ from here.
__name__ = "gowsgi._bootstrap"


class _EmbeddedImporter:
    """Finder and loader over a dict of sources."""

    def __init__(self, sources):
        self._sources = sources

    def find_spec(self, name, path=None, target=None):
        if name not in self._sources:
            return None
        # importlib need not be imported for its ModuleSpec.
        return type(sys.__spec__)(name, self, origin=self._filename(name), is_package=self.is_package(name))

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        return compile(self.get_source(name), self._filename(name), "exec", dont_inherit=True)

    def get_source(self, name):
        # linecache asks for this when a traceback shows a line of gowsgi.
        try:
            return self._sources[name]
        except KeyError:
            raise ImportError(f"{name} is not embedded", name=name) from None

    def is_package(self, name):
        return name == "gowsgi"

    def _filename(self, name):
        # No such file may exist, or linecache would read it instead; a name
        # that also ended in ">" would keep linecache from asking the loader.
        return f"<gowsgi>/{name.partition('.')[2] or '__init__'}.py"


sys.meta_path.insert(0, _EmbeddedImporter(_sources))  # noqa: F821
