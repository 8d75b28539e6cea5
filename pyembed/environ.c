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

/* The slot of a variable's name in the thread's cache: names repeat on every request.
 * They come from clients, so the cache takes at most half its slots: NULL, without an
 * exception, for those that have no room. */
static gw_key *key_slot(gw_thread *t, const char *p, size_t n) {
    uint32_t h = key_hash(p, n);
    gw_key *k = &t->keys[h % GW_KEYS];
    for (; k->str; k = k + 1 == t->keys + GW_KEYS ? t->keys : k + 1)
        if (k->hash == h && k->len == n && memcmp(k->name, p, n) == 0)
            return k;
    if (t->key_count >= GW_KEYS / 2)
        return NULL;
    char *name = malloc(n ? n : 1);
    PyObject *s = name ? py.PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL) : NULL;
    if (!s) {
        free(name);
        py.PyErr_Clear();
        return NULL;
    }
    memcpy(name, p, n);
    py.PyUnicode_InternInPlace(&s);
    *k = (gw_key){.hash = h, .len = (uint32_t)n, .name = name, .str = s};
    t->key_count++;
    return k;
}

/* The str of a variable's value, the last one if that is the same: most are, on a
 * connection or from a proxy. Longer ones differ, or are cookies and tokens, which
 * are not to be kept. A new reference. */
static PyObject *value_str(gw_key *k, const char *p, size_t n) {
    if (k && k->value && k->value_len == n && memcmp(k->text, p, n) == 0) {
        py.Py_IncRef(k->value);
        return k->value;
    }
    PyObject *s = py.PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL);
    if (s && k && n <= GW_VALUE) {
        py.Py_DecRef(k->value);
        py.Py_IncRef(s);
        k->value = s;
        k->value_len = (uint32_t)n;
        memcpy(k->text, p, n);
    }
    return s;
}

static int environ_add(gw_thread *t, PyObject *env, const char *name, size_t n, const char *value,
                       size_t v) {
    gw_key *k = key_slot(t, name, n);
    PyObject *key = k ? k->str : py.PyUnicode_DecodeLatin1(name, (Py_ssize_t)n, NULL);
    PyObject *text = key ? value_str(k, value, v) : NULL;
    int rc = text ? py.PyDict_SetItem(env, key, text) : -1;
    py.Py_DecRef(text);
    if (!k)
        py.Py_DecRef(key);
    return rc;
}

/* record is well-formed: bridge.Record wrote it in this process. */
PyObject *environ_new(gw_thread *t, const char *record, size_t len) {
    PyObject *env = py.PyDict_Copy(gw.base_environ);
    const char *end = record + len;
    while (env && record < end) {
        uint32_t n, v;
        memcpy(&n, record, 4);
        memcpy(&v, record + 4, 4);
        record += 8;
        if (environ_add(t, env, record, n, record + n, v) < 0) {
            py.Py_DecRef(env);
            env = NULL;
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
