"""A real nginx in a folder of its own, on free ports, ended with the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from support import proc

HOST = "127.0.0.1"
START_TIMEOUT = 10.0

# What Debian's packages have, but for HTTP_HOST: there it is $host, without the port.
PARAMS = """
uwsgi_param  QUERY_STRING       $query_string;
uwsgi_param  REQUEST_METHOD     $request_method;
uwsgi_param  CONTENT_TYPE       $content_type;
uwsgi_param  CONTENT_LENGTH     $content_length;
uwsgi_param  REQUEST_URI        $request_uri;
uwsgi_param  PATH_INFO          $document_uri;
uwsgi_param  DOCUMENT_ROOT      $document_root;
uwsgi_param  SERVER_PROTOCOL    $server_protocol;
uwsgi_param  REQUEST_SCHEME     $scheme;
uwsgi_param  HTTPS              $https if_not_empty;
uwsgi_param  REMOTE_ADDR        $remote_addr;
uwsgi_param  REMOTE_PORT        $remote_port;
uwsgi_param  SERVER_PORT        $server_port;
uwsgi_param  SERVER_NAME        $server_name;
"""

# By the uwsgi protocol nothing has to be said of the client: the variables do.
PROXY_HEADERS = """
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_buffering off;
"""

MAIN = """
daemon off;
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 512; }}
http {{
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    uwsgi_temp_path uwsgi;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    server_names_hash_bucket_size 128;
    uwsgi_buffering off;
    {http}
}}
"""


class Nginx:
    """One running nginx."""

    def __init__(self, folder: Path, http: str) -> None:
        """Start it in an existing folder, and wait until its ports take connections.

        Args:
            folder: For its configuration, logs and temporary files.
            http: What the http block holds: `listen 127.0.0.1:PORT` marks its ports.
        """
        self.folder = folder
        user = "user root;" if os.geteuid() == 0 else ""  # else the workers could not reach unix sockets
        (folder / "params").write_text(PARAMS)
        (folder / "proxy-headers").write_text(PROXY_HEADERS)
        (folder / "nginx.conf").write_text(MAIN.format(user=user, http=http))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        with (folder / "stderr").open("wb") as err:
            self._process = subprocess.Popen(
                [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"],
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                start_new_session=True,
            )
        ports = [int(word.split(":")[1].split(";")[0].split()[0]) for word in http.split("listen ")[1:]]
        proc.wait_for(lambda: all(self._accepts(port) for port in ports), START_TIMEOUT, "nginx to listen")

    @property
    def pid(self) -> int:
        """Its master process."""
        return self._process.pid

    def close(self) -> None:
        """End it and its workers."""
        if self._process.poll() is None:
            tree = proc.tree(self._process.pid)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in tree:
                    if proc.alive(pid):
                        os.kill(pid, signal.SIGKILL)
                self._process.wait(5)

    def _accepts(self, port: int) -> bool:
        if self._process.poll() is not None:
            msg = f"nginx left: {(self.folder / 'stderr').read_text()}"
            raise AssertionError(msg)
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, port)) == 0
