/*
 * An application may fork inside a request (os.fork, multiprocessing). In the
 * child only the forking thread goes on: Go's scheduler, its signal handling and
 * its sockets do not work there, so the child must stay in Python and leave from
 * there.
 */
#include "gowsgi.h"

#include <signal.h>
#include <unistd.h>

bool gw_forked;

static void (*go_handler)(int, siginfo_t *, void *);

/* Go's handlers would swallow signals in a child that has no Go to hand them to:
 * multiprocessing's terminate() would have no effect. */
static void fork_child(void) {
    gw_forked = true;
    zygote_forked();
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction sa;
        if (go_handler && sigaction(sig, NULL, &sa) == 0 && (sa.sa_flags & SA_SIGINFO) &&
            sa.sa_sigaction == go_handler) {
            /* CPython ignores SIGPIPE and turns it into BrokenPipeError. */
            signal(sig, sig == SIGPIPE ? SIG_IGN : SIG_DFL);
        }
    }
}

void fork_adopt(void) {
    struct sigaction sa;
    if (sigaction(SIGTERM, NULL, &sa) == 0 && (sa.sa_flags & SA_SIGINFO))
        go_handler = sa.sa_sigaction;
}

int fork_guard(void) {
    fork_adopt();
    return pthread_atfork(NULL, NULL, fork_child);
}

void fork_exit(void) {
    int code = 0;
    if (py.PyErr_Occurred()) {
        code = 1;
        PyObject *type, *value, *trace;
        py.PyErr_Fetch(&type, &value, &trace);
        py.PyErr_NormalizeException(&type, &value, &trace);
        if (py.PyErr_GivenExceptionMatches(type, py.PyExc_SystemExit)) {
            PyObject *arg = py.PyObject_GetAttrString(value, "code");
            if (arg == py._Py_NoneStruct)
                code = 0;
            else if (arg)
                code = (int)py.PyLong_AsLongLong(arg); /* -1 for other objects */
            py.PyErr_Clear();
        } else {
            PyObject *format = py.PyObject_GetAttrString(gw.embed, "format_exception");
            PyObject *text = format && value ? py_call1(format, value) : NULL;
            Py_ssize_t n = 0;
            const char *p = text ? py.PyUnicode_AsUTF8AndSize(text, &n) : NULL;
            if (p && write(2, p, (size_t)n) < 0)
                code = 1; /* nothing more can be done */
            py.PyErr_Clear();
        }
    }
    PyObject *flush = py.PyObject_GetAttrString(gw.embed, "before_exit");
    if (flush)
        py.PyObject_CallFunctionObjArgs(flush, NULL);
    _exit(code);
}
