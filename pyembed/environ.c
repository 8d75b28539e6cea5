/* The environ and wsgi.input (PEP 3333, "environ Variables", "Input Streams"). */
#include "gowsgi.h"

#include <fcntl.h>
#include <unistd.h>

/* FNV-1a. */
static uint32_t key_hash(const char *p, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 16777619u;
    return h;
}

/* The str for a variable's name, from the thread's cache: names repeat on every
 * request. Names come from clients, so the cache takes at most half its slots and
 * makes further names anew. A new reference. */
static PyObject *key_str(gw_thread *t, const char *p, size_t n) {
    uint32_t h = key_hash(p, n);
    gw_key *k = &t->keys[h % GW_KEYS];
    for (; k->str; k = k + 1 == t->keys + GW_KEYS ? t->keys : k + 1) {
        if (k->hash == h && k->len == n && memcmp(k->name, p, n) == 0) {
            py.Py_IncRef(k->str);
            return k->str;
        }
    }
    PyObject *s = py.PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL);
    if (!s || t->key_count >= GW_KEYS / 2)
        return s;
    char *name = malloc(n ? n : 1);
    if (!name)
        return s;
    memcpy(name, p, n);
    py.PyUnicode_InternInPlace(&s);
    py.Py_IncRef(s);
    *k = (gw_key){.hash = h, .len = (uint32_t)n, .name = name, .str = s};
    t->key_count++;
    return s;
}

/* record is well-formed: bridge.Record wrote it in this process. */
PyObject *environ_new(gw_thread *t, const char *record, size_t len) {
    PyObject *env = py.PyDict_Copy(gw.base_environ);
    if (!env)
        return NULL;
    const char *end = record + len;
    while (record < end) {
        uint32_t n, v;
        memcpy(&n, record, 4);
        memcpy(&v, record + 4, 4);
        record += 8;
        PyObject *key = key_str(t, record, n);
        PyObject *value = key ? py.PyUnicode_DecodeLatin1(record + n, v, NULL) : NULL;
        int rc = value ? py.PyDict_SetItem(env, key, value) : -1;
        py.Py_DecRef(key);
        py.Py_DecRef(value);
        if (rc < 0) {
            py.Py_DecRef(env);
            return NULL;
        }
        record += (size_t)n + v;
    }
    return env;
}

/* wsgi.input: CPython's own classes have all that PEP 3333 asks for. */
PyObject *input_new(const char *body, size_t len, int fd) {
    if (fd < 0) {
        PyObject *bytes = gw.empty_bytes;
        if (len == 0)
            py.Py_IncRef(bytes);
        else if (!(bytes = py.PyBytes_FromStringAndSize(body, (Py_ssize_t)len)))
            return NULL;
        PyObject *input = py_call1(gw.bytes_io, bytes); /* shares the bytes */
        py.Py_DecRef(bytes);
        return input;
    }
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    PyObject *number = own < 0 ? NULL : py.PyLong_FromLongLong(own);
    if (own < 0)
        py.PyErr_SetString(py.PyExc_RuntimeError, "no descriptor left for the request's body");
    else if (!number)
        close(own);
    PyObject *input = number ? py_call1(gw.open_body, number) : NULL; /* takes own */
    py.Py_DecRef(number);
    return input;
}
