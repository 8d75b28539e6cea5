"""Cases for the uwsgi protocol, run against any server that speaks it on a port.

python -m tests.uwsgi                      # bin/gowsgi
python -m tests.uwsgi --server uwsgi --server 'mine=./server --uwsgi 127.0.0.1:{port}'
"""
