/*
 * start_response and write (PEP 3333, "The start_response() Callable"). The head
 * is checked here, inside the call, so that an illegal one raises in the
 * application; Go gets it ready to send.
 */
#include "gowsgi.h"

#include <stdio.h>
#include <strings.h>

/* The characters of a token (RFC 9110, 5.6.2). */
static bool is_token(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_name(const char *p, size_t n, const char *name) {
    return n == strlen(name) && strncasecmp(p, name, n) == 0;
}

/* Fields that speak of the connection, which is the server's (RFC 9110, 7.6.1);
 * PEP 3333, "Other HTTP Features", forbids them to applications. */
static const char *const hop_by_hop[] = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade",
};

static bool is_hop_by_hop(const char *p, size_t n) {
    for (size_t i = 0; i < sizeof hop_by_hop / sizeof *hop_by_hop; i++)
        if (is_name(p, n, hop_by_hop[i]))
            return true;
    return false;
}

/* Appends o, a str, as latin-1 without control characters (tab is allowed in a
 * field's value). -1 with an exception that says what it was. */
static int head_text(buf *b, PyObject *o, const char *what, bool tab) {
    Py_ssize_t len = 0;
    const char *p = o && py_isa(o, (PyObject *)py.PyUnicode_Type)
                        ? py.PyUnicode_AsUTF8AndSize(o, &len)
                        : NULL;
    if (!p) {
        if (!py.PyErr_Occurred())
            py.PyErr_Format(py.PyExc_TypeError, "%s must be a str", what);
        return -1;
    }
    const char *end = p + len;
    while (p < end && tab && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && tab && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (buf_room(b, (size_t)(end - p)) < 0) {
        py.PyErr_SetString(py.PyExc_RuntimeError, "no memory for the response head");
        return -1;
    }
    while (p < end) {
        unsigned char c = (unsigned char)*p++;
        if (c == 0xc2 || c == 0xc3) { /* U+0080 to U+00FF in UTF-8 */
            c = (unsigned char)((c << 6) | (*p++ & 0x3f));
        } else if (c > 0x7f) {
            py.PyErr_Format(py.PyExc_ValueError,
                            "%s has a character outside latin-1 (ISO-8859-1)", what);
            return -1;
        } else if ((c < 0x20 && !(tab && c == '\t')) || c == 0x7f) {
            py.PyErr_Format(py.PyExc_ValueError, "%s has the control character 0x%x", what, c);
            return -1;
        }
        b->p[b->len++] = (char)c;
    }
    return 0;
}

static int head_end(buf *b) {
    if (buf_add(b, "\r\n", 2) == 0)
        return 0;
    py.PyErr_SetString(py.PyExc_RuntimeError, "no memory for the response head");
    return -1;
}

typedef struct {
    int status;
    long long content_length;
    bool has_date, has_server;
} head_facts;

/* "999 Reason": three digits, a space, a reason. The reason may be missing, as
 * gunicorn has it. */
static int head_status(buf *b, PyObject *status, head_facts *f) {
    size_t start = b->len;
    if (head_text(b, status, "the status", false) < 0)
        return -1;
    const char *p = b->p + start;
    size_t n = b->len - start;
    bool ok = n >= 3 && (n == 3 || p[3] == ' ') && (n < 5 || (p[4] != ' ' && p[n - 1] != ' '));
    for (int i = 0; ok && i < 3; i++)
        ok = p[i] >= '0' && p[i] <= '9';
    f->status = ok ? (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0' : 0;
    if (f->status < 200 || f->status > 599) { /* RFC 9110, 15 */
        py.PyErr_Format(py.PyExc_ValueError,
                        ok && f->status >= 100 && f->status < 200
                            ? "status %R is informational: only the server sends those"
                            : "status %R is not of the form '200 OK', from 200 to 599",
                        status);
        return -1;
    }
    if (n == 3 && buf_add(b, " ", 1) < 0)
        return -1;
    return head_end(b);
}

static int head_length(const char *p, size_t n, head_facts *f) {
    long long value = 0;
    bool ok = n > 0 && n < 19; /* < 10^18: fits */
    for (size_t i = 0; ok && i < n; i++) {
        ok = p[i] >= '0' && p[i] <= '9';
        value = value * 10 + (p[i] - '0');
    }
    if (!ok || (f->content_length >= 0 && f->content_length != value)) {
        py.PyErr_SetString(py.PyExc_ValueError,
                           ok ? "two Content-Length headers that differ"
                              : "Content-Length is not a decimal number of bytes");
        return -1;
    }
    f->content_length = value;
    return 0;
}

static int head_field(buf *b, PyObject *item, head_facts *f) {
    if (!py_isa(item, (PyObject *)py.PyTuple_Type) || py.PyTuple_Size(item) != 2) {
        py.PyErr_SetString(py.PyExc_TypeError, "each header must be a tuple (name, value)");
        return -1;
    }
    PyObject *name = py.PyTuple_GetItem(item, 0), *value = py.PyTuple_GetItem(item, 1);
    size_t start = b->len;
    if (head_text(b, name, "a header's name", false) < 0)
        return -1;
    size_t n = b->len - start;
    bool token = n > 0;
    for (size_t i = 0; token && i < n; i++)
        token = is_token((unsigned char)b->p[start + i]);
    if (!token) {
        py.PyErr_Format(py.PyExc_ValueError, "%R is not a header name", name);
        return -1;
    }
    if (is_hop_by_hop(b->p + start, n)) {
        py.PyErr_Format(py.PyExc_AssertionError,
                        "%R is a hop-by-hop header: PEP 3333 leaves those to the server", name);
        return -1;
    }
    if (buf_add(b, ": ", 2) < 0)
        return head_end(b);
    size_t value_start = b->len;
    if (head_text(b, value, "a header's value", true) < 0)
        return -1;
    if (is_name(b->p + start, n, "content-length")) {
        int rc = head_length(b->p + value_start, b->len - value_start, f);
        b->len = start; /* the server writes it: framing is its own */
        return rc;
    }
    f->has_date = f->has_date || is_name(b->p + start, n, "date");
    f->has_server = f->has_server || is_name(b->p + start, n, "server");
    return head_end(b);
}

static int head_build(gw_thread *t, PyObject *status, PyObject *headers) {
    head_facts f = {.content_length = -1};
    buf *b = &t->scratch;
    b->len = 0;
    if (!py_isa(headers, (PyObject *)py.PyList_Type)) {
        py.PyErr_SetString(py.PyExc_TypeError, "the headers must be a list of tuples");
        return -1;
    }
    if (head_status(b, status, &f) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < py.PyList_Size(headers); i++)
        if (head_field(b, py.PyList_GetItem(headers, i), &f) < 0)
            return -1;
    buf lines = t->lines;
    t->lines = t->scratch;
    t->scratch = lines;
    t->status = f.status;
    t->content_length = f.content_length;
    t->has_date = f.has_date;
    t->has_server = f.has_server;
    t->head_set = true;
    return 0;
}

/* self is an int: serial * GW_MAX_THREADS + thread index. NULL with an exception
 * when that request is over. */
static gw_thread *request_of(PyObject *self, const char *what) {
    long long id = py.PyLong_AsLongLong(self);
    gw_thread *t = gw_thread_at((int)(id % GW_MAX_THREADS));
    if (t && t->active && t->serial == (uint64_t)(id / GW_MAX_THREADS))
        return t;
    py.PyErr_Format(py.PyExc_RuntimeError, "%s was called after its request had ended", what);
    return NULL;
}

static PyObject *write_call(PyObject *self, PyObject *data) {
    gw_thread *t = request_of(self, "write()");
    char *p;
    Py_ssize_t n;
    if (!t)
        return NULL;
    if (!py_isa(data, (PyObject *)py.PyBytes_Type)) {
        py.PyErr_SetString(py.PyExc_TypeError, "write() takes bytes");
        return NULL;
    }
    if (py.PyBytes_AsStringAndSize(data, &p, &n) < 0)
        return NULL;
    if (n > 0) {
        t->part.wrote = true;
        t->given += n;
        if (outbox_write(t, p, (size_t)n) < 0)
            return NULL;
    }
    return py_none();
}

static PyMethodDef write_def = {
    "write", write_call, METH_O, "write(data: bytes): sends a piece of the body (PEP 3333)."};

/* Raises what exc_info holds again; anything but sys.exc_info()'s tuple is an error
 * of its own. */
static void reraise(PyObject *exc_info) {
    bool tuple = py_isa(exc_info, (PyObject *)py.PyTuple_Type) && py.PyTuple_Size(exc_info) == 3;
    PyObject *value = tuple ? py.PyTuple_GetItem(exc_info, 1) : NULL;
    if (!value || !py_isa(value, py.PyExc_BaseException)) {
        py.PyErr_SetString(py.PyExc_TypeError, "exc_info must be the tuple of sys.exc_info()");
        return;
    }
    PyObject *trace = py.PyTuple_GetItem(exc_info, 2);
    if (py.PyException_SetTraceback(value, trace) < 0)
        return;
    py.Py_IncRef(value);
    if (trace == py._Py_NoneStruct)
        trace = NULL;
    py.Py_IncRef(trace);
    py.PyErr_Restore(py.PyObject_Type(value), value, trace);
}

static const char *const parameters[] = {"status", "response_headers", "exc_info"};

/* Sorts positional and keyword arguments into got[3]. */
static int arguments(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject **got) {
    if (nargs > 3)
        goto wrong;
    for (Py_ssize_t i = 0; i < nargs; i++)
        got[i] = args[i];
    Py_ssize_t named = kwnames ? py.PyTuple_Size(kwnames) : 0;
    for (Py_ssize_t k = 0; k < named; k++) {
        const char *name = py.PyUnicode_AsUTF8AndSize(py.PyTuple_GetItem(kwnames, k), NULL);
        int i = 0;
        while (i < 3 && name && strcmp(name, parameters[i]) != 0)
            i++;
        if (!name || i == 3 || got[i])
            goto wrong;
        got[i] = args[nargs + k];
    }
    if (got[0] && got[1])
        return 0;
wrong:
    py.PyErr_SetString(py.PyExc_TypeError,
                       "start_response takes (status, response_headers, exc_info=None)");
    return -1;
}

static PyObject *start_response_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kwnames) {
    PyObject *got[3] = {NULL, NULL, NULL};
    gw_thread *t = request_of(self, "start_response");
    if (!t || arguments(args, nargs, kwnames, got) < 0)
        return NULL;
    if (got[2] && got[2] != py._Py_NoneStruct) {
        if (t->head_sent) {
            reraise(got[2]);
            return NULL;
        }
    } else if (t->head_set) {
        py.PyErr_SetString(py.PyExc_AssertionError,
                           "start_response was called a second time without exc_info");
        return NULL;
    }
    if (head_build(t, got[0], got[1]) < 0)
        return NULL;
    return py.PyCFunction_NewEx(&write_def, self, NULL);
}

/* wsgi.early_hints(headers): sends 103 (RFC 8297), as gunicorn's does: nothing
 * happens once the head is out; HTTP/1.0 clients are spared by the front. */
static PyObject *early_hints_call(PyObject *self, PyObject *headers) {
    gw_thread *t = request_of(self, "wsgi.early_hints");
    if (!t)
        return NULL;
    PyObject *iter = py.PyObject_GetIter(headers), *item;
    if (!iter)
        return NULL;
    head_facts unused = {.content_length = -1};
    buf lines = {0};
    int rc = 0;
    while (rc == 0 && (item = py.PyIter_Next(iter))) {
        rc = head_field(&lines, item, &unused);
        py.Py_DecRef(item);
    }
    py.Py_DecRef(iter);
    if (rc == 0 && !py.PyErr_Occurred() && lines.len > 0 && !t->head_sent) {
        t->part.wrote = true;
        if (head_end(&lines) == 0 && outbox_hint(t, &lines) < 0)
            py.PyErr_SetString(py.PyExc_RuntimeError, "no memory for early hints");
    }
    buf_free(&lines);
    return py.PyErr_Occurred() ? NULL : py_none();
}

static PyMethodDef early_hints_def = {
    "early_hints", early_hints_call, METH_O,
    "early_hints(headers): sends a 103 answer with these headers (RFC 8297)."};

int callables_new(gw_thread *t, PyObject **start, PyObject **hints) {
    static PyMethodDef start_def = {"start_response", NULL, METH_FASTCALL | METH_KEYWORDS,
                                    "start_response(status, response_headers, exc_info=None) -> "
                                    "write (PEP 3333)."};
    start_def.ml_meth = (PyCFunction)(void (*)(void))start_response_call;
    long long id = (long long)(t->serial * GW_MAX_THREADS + (uint64_t)t->index);
    PyObject *self = py.PyLong_FromLongLong(id);
    *start = self ? py.PyCFunction_NewEx(&start_def, self, NULL) : NULL;
    *hints = self ? py.PyCFunction_NewEx(&early_hints_def, self, NULL) : NULL;
    py.Py_DecRef(self);
    return *start && *hints ? 0 : -1;
}
