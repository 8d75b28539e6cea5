/*
 * One WSGI request as up to three kinds of crossings: gw_start calls the
 * application and fetches the first non-empty chunk, gw_next the next chunks,
 * gw_finish calls close(). Each takes the GIL once and enters the request's own
 * context, so that context variables do not leak into the next request.
 */
#include "gowsgi.h"

#include <time.h>

/* Lists are joined up to this many bytes and go out in one piece. */
enum { JOIN = 1 << 20 };
/* Chunks up to CORK_CHUNK bytes that come within CORK_PACE of each other, in ns, go out
 * together: CORK bytes, or what has come in CORK_TIME. One that the next does not follow
 * so soon is sent by Go. */
enum { CORK_CHUNK = 8 << 10, CORK = 32 << 10, CORK_PACE = 20000, CORK_TIME = 200000 };

static PyObject *apps[GW_MAX_APPS];
static int app_count;

int request_add_app(PyObject *app) {
    if (app_count == GW_MAX_APPS) {
        py.PyErr_SetString(py.PyExc_RuntimeError, "too many applications in one process");
        return -1;
    }
    apps[app_count] = app; /* kept for ever */
    return app_count++;
}

/* --- the request's context --- */

static void context_enter(gw_thread *t) {
    if (t->context && py.PyContext_Enter(t->context) < 0)
        py.PyErr_Clear();
}

static void context_exit(gw_thread *t) {
    if (!t->context)
        return;
    PyObject *type, *value, *trace; /* PyContext_Exit must not see an exception */
    py.PyErr_Fetch(&type, &value, &trace);
    if (py.PyContext_Exit(t->context) < 0)
        py.PyErr_Clear();
    py.PyErr_Restore(type, value, trace);
}

static void context_new(gw_thread *t) {
    if (!py.PyContext_Copy)
        return;
    t->context = gw.base_context ? py.PyContext_Copy(gw.base_context) : py.PyContext_New();
    if (!t->context)
        py.PyErr_Clear();
}

/* --- the end of a request --- */

static void drop(PyObject **o) {
    PyObject *old = *o;
    *o = NULL;
    py.Py_DecRef(old);
}

/* Calls close() if the iterable has one (PEP 3333: in any case, once). An
 * exception it raises is reported, but the answer stands. */
static void call_close(gw_thread *t) {
    PyObject *result = t->result;
    t->result = NULL;
    if (!result)
        return;
    PyObject *close = py.PyObject_GetAttr(result, gw.str_close);
    if (close) {
        PyObject *r = py.PyObject_CallFunctionObjArgs(close, NULL);
        py.Py_DecRef(close);
        py.Py_DecRef(r);
        if (!r && gw_forked)
            fork_exit();
        if (!r)
            error_take(&t->error);
    } else if (py.PyErr_ExceptionMatches(py.PyExc_AttributeError)) {
        py.PyErr_Clear();
    } else {
        error_take(&t->error);
    }
    py.Py_DecRef(result);
}

static void request_end(gw_thread *t) {
    drop(&t->iter);
    call_close(t);
    t->active = false;
}

/* Turns the pending exception into the part. The head, if it was not sent, is
 * void: the client gets a 500. */
static void request_fail(gw_thread *t) {
    if (gw_forked)
        fork_exit();
    buf first = {0};
    error_take(&first);
    request_end(t); /* close() may raise too: the first error is the cause */
    buf_free(&t->error);
    t->error = first;
    t->part.kind = GW_ERROR;
}

/* --- pieces --- */

static void part_head(gw_thread *t) {
    gw_part *p = &t->part;
    p->head = !t->head_sent;
    t->head_sent = true;
}

static int head_required(gw_thread *t) {
    if (t->head_set)
        return 0;
    py.PyErr_SetString(py.PyExc_AssertionError,
                       "start_response was not called before the first chunk of the body");
    return -1;
}

/* Points p at the bytes of a chunk; -1 with an exception that names what it is. */
static int chunk_bytes(PyObject *chunk, char **p, Py_ssize_t *n) {
    if (py_isa(chunk, (PyObject *)py.PyBytes_Type))
        return py.PyBytes_AsStringAndSize(chunk, p, n);
    PyObject *type = py.PyObject_Type(chunk);
    py.PyErr_Format(py.PyExc_TypeError,
                    "the application's iterable gave an object of %R: PEP 3333 wants bytes", type);
    py.Py_DecRef(type);
    return -1;
}

/* Takes the next chunk that is not empty. 1: there is one, 0: the end, -1: an
 * exception. The part's body points into t->hold. */
static int next_chunk(gw_thread *t) {
    for (;;) {
        PyObject *chunk = py.PyIter_Next(t->iter);
        if (gw_forked)
            fork_exit();
        if (!chunk)
            return py.PyErr_Occurred() ? -1 : 0;
        char *p = NULL;
        Py_ssize_t n = 0;
        if (chunk_bytes(chunk, &p, &n) < 0) {
            py.Py_DecRef(chunk);
            return -1;
        }
        if (n > 0) {
            t->hold = chunk;
            t->part.body = p;
            t->part.body_len = (size_t)n;
            t->given += n;
            return 1;
        }
        py.Py_DecRef(chunk);
    }
}

static long long clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* next_chunk, with the chunks after it that come as quickly. Only the last try counts
 * for the result, so there may be a body with 0 too. With -1, and before a large chunk,
 * which is not to be copied, the others are in the outbox. */
static int next_chunks(gw_thread *t) {
    long long begun = clock_ns(), last = begun;
    size_t total = 0;
    bool corked = false;
    int got;
    while ((got = next_chunk(t)) > 0) {
        long long now = clock_ns();
        total += t->part.body_len;
        if (t->part.body_len > CORK_CHUNK || total >= CORK || now - last > CORK_PACE ||
            now - begun > CORK_TIME || (t->content_length >= 0 && t->given >= t->content_length) ||
            !outbox_cork(t))
            break;
        drop(&t->hold);
        corked = true;
        last = now;
    }
    if (corked)
        t->part.wrote = true; /* Go waits there for a goroutine that sends some of it */
    if (corked && got >= 0 && t->part.body_len <= CORK_CHUNK && outbox_uncork(t))
        drop(&t->hold);
    return got;
}

/* The end of the iterable. close() waits until Go has passed on the end of the
 * answer, unless the client has it already. */
static void request_last(gw_thread *t, bool satisfied) {
    t->part.kind = GW_LAST;
    drop(&t->iter);
    PyObject *close = py.PyObject_GetAttr(t->result, gw.str_close);
    if (!close)
        py.PyErr_Clear();
    py.Py_DecRef(close);
    if (close && !satisfied)
        t->part.open = true;
    else
        request_end(t);
}

/* A list or tuple of bytes: all of it in one piece. 0: done; 1: too large, take it
 * as an iterable; -1: an exception. */
static int take_whole(gw_thread *t, bool list) {
    PyObject *r = t->result;
    Py_ssize_t count = list ? py.PyList_Size(r) : py.PyTuple_Size(r);
    if (head_required(t) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *chunk = list ? py.PyList_GetItem(r, i) : py.PyTuple_GetItem(r, i);
        char *p = NULL;
        Py_ssize_t n = 0;
        if (!chunk || chunk_bytes(chunk, &p, &n) < 0)
            return -1;
        if (count == 1) {
            py.Py_IncRef(chunk);
            t->hold = chunk;
            t->part.body = p;
            t->part.body_len = (size_t)n;
            break;
        }
        if (t->body.len + (size_t)n > JOIN)
            return 1;
        if (buf_add(&t->body, p, (size_t)n) < 0) {
            py.PyErr_SetString(py.PyExc_RuntimeError, "no memory for the response body");
            return -1;
        }
        t->part.body = t->body.p;
        t->part.body_len = t->body.len;
    }
    t->part.kind = GW_LAST;
    part_head(t);
    drop(&t->result); /* plain lists and tuples have no close() */
    t->active = false;
    return 0;
}

/* What the application returned becomes the first piece. */
static int answer_begin(gw_thread *t) {
    bool list = py_is(t->result, (PyObject *)py.PyList_Type);
    if (list || py_is(t->result, (PyObject *)py.PyTuple_Type)) {
        int rc = take_whole(t, list);
        if (rc <= 0)
            return rc;
        t->part.body = NULL;
        t->part.body_len = 0;
    }
    if (py_isa(t->result, (PyObject *)py.PyBytes_Type) ||
        py_isa(t->result, (PyObject *)py.PyUnicode_Type)) {
        py.PyErr_SetString(py.PyExc_TypeError, "the application returned a str or bytes: PEP 3333 "
                                               "wants an iterable of bytes, such as [body]");
        return -1;
    }
    if (!t->head_sent && py_is(t->result, gw.file_wrapper) && file_begin(t))
        return 0;
    t->iter = py.PyObject_GetIter(t->result);
    if (!t->iter)
        return -1;
    int got = next_chunk(t);
    if (got < 0 || head_required(t) < 0)
        return -1;
    part_head(t);
    if (got) {
        t->part.kind = GW_MORE;
        t->part.open = true;
    } else {
        request_last(t, false);
    }
    return 0;
}

/* --- crossings --- */

static void part_clear(gw_thread *t) {
    drop(&t->hold);
    buf_reset(&t->body, GW_KEEP);
    buf_reset(&t->error, GW_KEEP);
    bool wrote = t->part.wrote;
    t->part = (gw_part){.file_fd = -1, .wrote = wrote};
}

/* Fills in what points into the thread's buffers. */
static void part_seal(gw_thread *t) {
    gw_part *p = &t->part;
    p->status = t->status;
    p->has_date = t->has_date;
    p->has_server = t->has_server;
    p->content_length = t->content_length;
    p->lines = t->lines.p;
    p->lines_len = t->lines.len;
    p->error = t->error.len ? t->error.p : NULL;
    p->error_len = t->error.len;
    if (p->body_len >= GW_LEND && p->kind <= GW_LAST && t->hold &&
        py_is(t->hold, (PyObject *)py.PyBytes_Type)) {
        p->lent = t->hold;
        t->hold = NULL;
    }
}

static void request_begin(gw_thread *t) {
    part_clear(t);
    t->part.wrote = false;
    t->serial++;
    t->active = true;
    t->head_set = t->head_sent = false;
    t->given = 0;
    buf_reset(&t->lines, GW_KEEP);
    if (t->outbox.data.len || t->outbox.hints.cap || t->outbox.closed || t->outbox.head_ready)
        outbox_reset(t);
    context_new(t);
}

/* The way back to Go, the same from every crossing. */
static void crossing_leave(gw_thread *t) {
    context_exit(t);
    if (!t->active)
        drop(&t->context);
    part_seal(t);
    loan_release();
    py.PyEval_SaveThread();
}

void gw_start(gw_thread *t, int app, const char *record, size_t record_len, const char *body,
              size_t body_len, int body_fd) {
    py.PyEval_RestoreThread(t->ts);
    request_begin(t);
    context_enter(t);
    PyObject *env = environ_new(t, record, record_len);
    PyObject *input = env ? input_new(body, body_len, body_fd) : NULL;
    PyObject *start = NULL, *hints = NULL;
    if (input && callables_new(t, &start, &hints) == 0 &&
        py.PyDict_SetItem(env, gw.str_input, input) == 0 &&
        py.PyDict_SetItem(env, gw.str_hints, hints) == 0) {
        drop(&input); /* the environ's alone now */
        t->result = py_call2(apps[app], env, start);
    }
    if (gw_forked)
        fork_exit();
    py.Py_DecRef(input);
    py.Py_DecRef(start);
    py.Py_DecRef(hints);
    py.Py_DecRef(env);
    if (!t->result || answer_begin(t) < 0)
        request_fail(t);
    crossing_leave(t);
}

void gw_next(gw_thread *t, bool satisfied) {
    py.PyEval_RestoreThread(t->ts);
    part_clear(t);
    context_enter(t);
    int got = satisfied ? next_chunk(t) : next_chunks(t);
    if (got > 0) {
        t->part.kind = GW_MORE;
        t->part.open = true;
    } else if (got == 0) {
        request_last(t, satisfied);
    } else {
        request_fail(t);
    }
    crossing_leave(t);
}

void gw_finish(gw_thread *t) {
    py.PyEval_RestoreThread(t->ts);
    part_clear(t);
    context_enter(t);
    request_end(t);
    t->part.kind = GW_LAST;
    crossing_leave(t);
}
