/* wsgi.file_wrapper around a real file: the front sends it, Python's part is over
 * at once (PEP 3333, "Optional Platform-Specific File Handling"). */
#include "gowsgi.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Calls o.name() for a number; -1 without one, with no exception left. */
static long long call_number(PyObject *o, const char *name) {
    PyObject *method = py.PyObject_GetAttrString(o, name);
    PyObject *r = method ? py.PyObject_CallFunctionObjArgs(method, NULL) : NULL;
    long long n = r ? py.PyLong_AsLongLong(r) : -1;
    py.Py_DecRef(method);
    py.Py_DecRef(r);
    if (py.PyErr_Occurred()) {
        py.PyErr_Clear();
        return -1;
    }
    return n;
}

/* Opens the file behind fd a second time, since a duplicate would share its
 * position with the application. -1 when it cannot be. */
static int reopen(int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Makes the file's rest, from its present position, the whole answer. false when
 * it is not a regular file that can be opened: then it is iterated like any other. */
bool file_begin(gw_thread *t) {
    if (!t->head_set)
        return false;
    PyObject *file = py.PyObject_GetAttrString(t->result, "filelike");
    if (!file) {
        py.PyErr_Clear();
        return false;
    }
    long long fd = call_number(file, "fileno");
    long long offset = fd >= 0 ? call_number(file, "tell") : -1;
    py.Py_DecRef(file);
    struct stat st;
    if (offset < 0 || fstat((int)fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    int own = reopen((int)fd);
    if (own < 0)
        return false;
    t->part.kind = GW_FILE;
    t->part.file_fd = own;
    t->part.file_offset = offset;
    t->part.file_length = st.st_size > offset ? st.st_size - offset : 0;
    t->part.head = true;
    t->part.open = true; /* close() after the answer is handed on */
    t->head_sent = true;
    return true;
}
