"""Calls the hooks of the configuration file, in the zygote and in workers."""

from __future__ import annotations

import os

from gowsgi import logs
from gowsgi.apps import AppError
from gowsgi.config import Config
from gowsgi.errors import exit_status, summarize
from gowsgi.standins import Cfg, Server, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar


class HookError(AppError):
    """A hook of the configuration file raised."""

    def __init__(self, name: str, original: BaseException) -> None:
        """Creates one for what the hook of this name raised."""
        exited = isinstance(original, SystemExit)
        what = (
            f"exited with {original.code!r}" if isinstance(original, SystemExit) else f"failed: {summarize(original)}"
        )
        super().__init__(f"the hook {name} {what}", None, None if exited else original)
        self.exit_status = exit_status(original)


class BootHookError(HookError):
    """A hook that a worker's start depends on raised; gunicorn's WORKER_BOOT_ERROR."""

    exit_code: ClassVar[int] = 3


class Hooks:
    """The hooks of one configuration, the server they are about and, in a worker, it.

    Attributes:
        functions: The hooks by their names.
        server: The first argument of most.
        worker: In a worker's process, that worker.
    """

    def __init__(self, pid: int) -> None:
        """Creates one without hooks; see Server for the arguments."""
        self._config = Config()
        self._known: Mapping[str, str] = {}
        self.functions = self._config.hooks
        self.server = Server(pid, Cfg({}, self._config, {}))
        self.worker: Worker | None = None

    def configure(self, config: Config, known: Mapping[str, str]) -> None:
        """Takes what the configuration file says."""
        self._config, self._known, self.functions = config, known, config.hooks

    def settle(self, values: Mapping[str, Any], app: str) -> None:
        """Takes the final settings, and the application's spec if it is not among them.

        Raises:
            LogError: If the log configuration is of no use.
        """
        self.server.app.app_uri = app
        if uri := app or values.get("wsgi_app"):
            values = {**values, "default_proc_name": uri}
        cfg = Cfg(values, self._config, self._known)
        self.server.settle(cfg)
        logs.configure(cfg)

    def run(self, name: str, args: Mapping[str, Any]) -> None:
        """Runs a hook that gunicorn runs in its master.

        Args:
            name: The hook; one that the file does not have does nothing.
            args: What the master says; see Server.update. ``worker`` for
                ``child_exit``, ``new`` and ``old`` for ``nworkers_changed``.

        Raises:
            HookError: If it raises.
        """
        self.server.update(args)
        arguments: tuple[Any, ...] = (self.server,)
        if name == "child_exit":
            worker = self.server.worker(args["worker"])
            if "status" in args["worker"]:
                worker.exitcode = os.waitstatus_to_exitcode(args["worker"]["status"])
            self.server.WORKERS.pop(args["worker"]["pid"], None)
            arguments = (self.server, worker)
        elif name == "nworkers_changed":
            self.server.num_workers = args["new"]
            arguments = (self.server, args["new"], args["old"])
        self._call(name, arguments, HookError)

    def before_fork(self, age: int, args: Mapping[str, Any]) -> Worker:
        """Runs ``pre_fork`` for a worker to come, and returns that.

        Raises:
            HookError: If it raises.
        """
        self.server.update(args)
        self.server.worker_age = age
        worker = Worker(self.server, age)
        self._call("pre_fork", (self.server, worker), HookError)
        return worker

    def become(self, worker: Worker) -> None:
        """Makes this process a worker's."""
        worker.pid = os.getpid()
        worker._serving = True
        self.worker = worker

    def run_in_worker(self, name: str, args: Mapping[str, Any]) -> None:
        """Runs a hook that gunicorn runs in its workers.

        What is raised by those that end a worker is logged only.

        Args:
            name: The hook.
            args: ``nr``, the requests that the worker has taken, if it counts.

        Raises:
            BootHookError: If ``post_fork`` or ``post_worker_init`` raises.
        """
        worker = self.worker
        if worker is None:
            return
        worker.nr = args.get("nr", worker.nr)
        arguments = (self.server, worker) if name in ("post_fork", "worker_exit") else (worker,)
        if name in ("post_fork", "post_worker_init"):
            self._call(name, arguments, BootHookError)
            worker.booted = worker.booted or name == "post_worker_init"
            return
        worker._alive = False
        try:
            self._call(name, arguments, HookError)
        except HookError as exc:
            worker.log.warning("Exception in the hook %s", name, exc_info=exc.__cause__)

    def load(self, spec: str) -> Callable[..., Any]:
        """Loads the application, or takes the one that is loaded already.

        In a worker's process what comes back also runs the request hooks.

        Args:
            spec: See ``gowsgi.apps.load``.

        Returns:
            What to call for a request.

        Raises:
            AppError: See ``gowsgi.apps.load``.
        """
        app, worker = self.server.app, self.worker
        if app.app_uri not in ("", spec):
            app.callable = None
        app.app_uri = spec
        loaded = app.wsgi()
        if worker is None:
            return loaded
        worker.wsgi = loaded
        pre, post = self.functions.get("pre_request"), self.functions.get("post_request")
        if pre or post:
            from gowsgi.exchange import wrap

            return wrap(worker, pre, post)
        if "post_worker_init" in self.functions:
            # It may put another application into worker.wsgi.
            return lambda environ, start_response: worker.wsgi(environ, start_response)
        return loaded

    def _call(self, name: str, arguments: tuple[Any, ...], error: type[HookError]) -> None:
        function = self.functions.get(name)
        if function is None:
            return
        try:
            function(*arguments)
        except BaseException as exc:
            raise error(name, exc) from exc
