#include "gowsgi.h"

#include <stdio.h>

/* Used when Python cannot even describe its error. */
static const char lost[] =
    "{\"type\":\"RuntimeError\",\"message\":\"an error that could not be described\","
    "\"traceback\":\"\",\"exit_code\":null,\"hint\":null}";

/* Returns the pending exception as one object with its traceback set; a new
 * reference or NULL. */
static PyObject *error_fetch(void) {
    PyObject *type = NULL, *value = NULL, *trace = NULL;
    py.PyErr_Fetch(&type, &value, &trace);
    if (!type)
        return NULL;
    py.PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        py.PyException_SetTraceback(value, trace);
    py.Py_DecRef(type);
    py.Py_DecRef(trace);
    return value;
}

void error_take(buf *out) {
    out->len = 0;
    PyObject *value = error_fetch(), *text = NULL;
    if (value && gw.embed) {
        PyObject *describe = py.PyObject_GetAttrString(gw.embed, "describe_error");
        if (describe)
            text = py_call1(describe, value);
        py.Py_DecRef(describe);
    }
    Py_ssize_t n = 0;
    const char *p = text ? py.PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    if (!p || buf_add(out, p, (size_t)n) < 0) {
        out->len = 0;
        (void)buf_add(out, lost, sizeof lost - 1);
    }
    py.PyErr_Clear();
    py.Py_DecRef(text);
    py.Py_DecRef(value);
}

char *error_text(void) {
    buf b = {0};
    error_take(&b);
    if (buf_add(&b, "", 1) < 0) {
        buf_free(&b);
        return strdup(lost);
    }
    return b.p;
}
