/* The interpreter's life: one per process, initialised once, ended only with the
 * process (CPython cannot be started again reliably). */
#include "gowsgi.h"

#include <locale.h>
#include <stdio.h>

struct gw_runtime gw;

/* Text goes in as UTF-8; what is not UTF-8 (paths, arguments) as os.fsdecode
 * would have it. */
static PyObject *text(const char *p, size_t n) {
    return py.PyUnicode_DecodeUTF8(p, (Py_ssize_t)n, "surrogateescape");
}

static PyObject *name(const char *p) {
    PyObject *s = text(p, strlen(p));
    if (s)
        py.PyUnicode_InternInPlace(&s);
    return s;
}

/* What `python` does in the C locale (PEP 540), which Py_InitializeEx does not. */
static void utf8_mode(void) {
    const char *locale = setlocale(LC_CTYPE, "");
    const char *wish = getenv("PYTHONUTF8");
    bool posix = !locale || strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0;
    if (wish && *wish)
        posix = strcmp(wish, "1") == 0;
    if (py.utf8_mode && posix)
        *py.utf8_mode = 1;
}

/* Runs the bootstrap with _sources as its one global. */
static int bootstrap(const char *source, const char *sources, size_t len) {
    PyObject *globals = py.PyDict_New(), *dict = py.PyDict_New(), *code = NULL, *r = NULL;
    const char *end = sources + len;
    while (dict && sources < end) {
        uint32_t n, v;
        memcpy(&n, sources, 4);
        memcpy(&v, sources + 4, 4);
        sources += 8;
        PyObject *module = text(sources, n), *value = text(sources + n, v);
        int rc = module && value ? py.PyDict_SetItem(dict, module, value) : -1;
        py.Py_DecRef(module);
        py.Py_DecRef(value);
        if (rc < 0)
            goto done;
        sources += (size_t)n + v;
    }
    if (!globals || !dict || py.PyDict_SetItemString(globals, "_sources", dict) < 0)
        goto done;
    code = py.Py_CompileString(source, "<gowsgi>/_bootstrap.py", PY_FILE_INPUT);
    if (code)
        r = py.PyEval_EvalCode(code, globals, globals);
done:
    py.Py_DecRef(code);
    py.Py_DecRef(globals);
    py.Py_DecRef(dict);
    py.Py_DecRef(r);
    return r ? 0 : -1;
}

/* Calls embed.<function>(argument or nothing); a new reference or NULL. */
static PyObject *embed_call(const char *function, const char *argument) {
    PyObject *f = py.PyObject_GetAttrString(gw.embed, function);
    PyObject *a = argument ? text(argument, strlen(argument)) : NULL;
    PyObject *r = NULL;
    if (f && (a || !argument))
        r = argument ? py_call1(f, a) : py.PyObject_CallFunctionObjArgs(f, NULL);
    py.Py_DecRef(f);
    py.Py_DecRef(a);
    return r;
}

int interp_register(const char *name) {
    PyObject *r = embed_call("register_thread", name);
    py.Py_DecRef(r);
    return r ? 0 : -1;
}

static int runtime_fill(const char *options) {
    gw.embed = py.PyImport_ImportModule("gowsgi.embed");
    if (!gw.embed)
        return -1;
    PyObject *r = embed_call("setup", options);
    py.Py_DecRef(r);
    if (!r)
        return -1;
    gw.base_environ = embed_call("base_environ", NULL);
    gw.file_wrapper = py.PyObject_GetAttrString(gw.embed, "FileWrapper");
    gw.open_body = py.PyObject_GetAttrString(gw.embed, "open_body");
    PyObject *io = py.PyImport_ImportModule("io");
    gw.bytes_io = io ? py.PyObject_GetAttrString(io, "BytesIO") : NULL;
    py.Py_DecRef(io);
    gw.empty_bytes = py.PyBytes_FromStringAndSize("", 0);
    gw.str_input = name("wsgi.input");
    gw.str_hints = name("wsgi.early_hints");
    gw.str_close = name("close");
    return gw.base_environ && gw.file_wrapper && gw.open_body && gw.bytes_io && gw.empty_bytes &&
                   gw.str_input && gw.str_hints && gw.str_close
               ? 0
               : -1;
}

int gw_init(const char *program, const char *source, const char *sources, size_t sources_len,
            const char *options, char **error) {
    if (!py.Py_SetProgramName) {
        *error = strdup("this CPython is too new: it has no Py_SetProgramName");
        return -1;
    }
    utf8_mode();
    wchar_t *wide = py.Py_DecodeLocale(program, NULL);
    if (!wide) {
        *error = strdup("the interpreter's path cannot be decoded");
        return -1;
    }
    py.Py_SetProgramName(wide); /* keeps the pointer: never freed */
    py.Py_InitializeEx(0);      /* 0: signal handlers stay Go's */
    int rc = fork_guard();
    if (rc == 0)
        rc = bootstrap(source, sources, sources_len);
    if (rc == 0)
        rc = runtime_fill(options);
    if (rc != 0)
        *error = error_text();
    gw_thread_at(0)->ts = py.PyEval_SaveThread();
    return rc;
}

int interp_adopt(gw_thread *t, const char *options, char **error) {
    py.PyEval_RestoreThread(t->ts);
    PyObject *r = embed_call("setup", options);
    PyObject *environ = r ? embed_call("base_environ", NULL) : NULL;
    if (environ) {
        py.Py_DecRef(gw.base_environ);
        gw.base_environ = environ;
    } else {
        *error = error_text();
    }
    py.Py_DecRef(r);
    t->ts = py.PyEval_SaveThread();
    return environ ? 0 : -1;
}

int gw_load(gw_thread *t, const char *spec, char **error) {
    py.PyEval_RestoreThread(t->ts);
    PyObject *app = embed_call("load", spec);
    int index = app ? request_add_app(app) : -1;
    if (index < 0)
        *error = error_text();
    /* What the import set in context variables, every request sees. The last one
     * stays: a request on another thread may be about to copy it. */
    PyObject *context = py.PyContext_CopyCurrent ? py.PyContext_CopyCurrent() : NULL;
    if (context)
        gw.base_context = context;
    else
        py.PyErr_Clear();
    if (gw_forked)
        fork_exit();
    t->ts = py.PyEval_SaveThread();
    return index;
}

char *gw_call(gw_thread *t, const char *function, const char *argument, char **error) {
    py.PyEval_RestoreThread(t->ts);
    __atomic_store_n(&t->inside, true, __ATOMIC_RELEASE);
    char *out = NULL;
    PyObject *r = embed_call(function, argument);
    if (r && py_isa(r, (PyObject *)py.PyUnicode_Type)) {
        Py_ssize_t n = 0;
        const char *p = py.PyUnicode_AsUTF8AndSize(r, &n);
        out = p ? strdup(p) : NULL;
    } else if (r) {
        out = strdup("");
    }
    if (!out)
        *error = error_text();
    py.Py_DecRef(r);
    __atomic_store_n(&t->inside, false, __ATOMIC_RELEASE);
    t->ts = py.PyEval_SaveThread();
    return out;
}

void gw_finalize(gw_thread *t) {
    loan_close();
    py.PyEval_RestoreThread(t->ts);
    py.Py_FinalizeEx();
}
