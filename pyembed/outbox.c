/*
 * write(), the callable that start_response returns, and wsgi.early_hints have to
 * send while the application still runs, and Python must not call into Go. So the
 * bytes go into a box with a lock, and a byte into a pipe tells a goroutine to
 * fetch them. Small chunks lie there too, while the application makes the next one.
 */
#include "gowsgi.h"

#include <errno.h>
#include <unistd.h>

/* Bytes that may wait in the box before write() blocks. */
enum { OUTBOX_HIGH_WATER = 64 << 10 };

void outbox_reset(gw_thread *t) {
    pthread_mutex_lock(&t->outbox.lock);
    buf_reset(&t->outbox.data, GW_KEEP);
    buf_free(&t->outbox.hints);
    t->outbox.head_ready = false;
    t->outbox.closed = false;
    pthread_mutex_unlock(&t->outbox.lock);
}

static void outbox_notify(gw_outbox *o, char what) {
    ssize_t n;
    do
        n = write(o->notify_fd, &what, 1);
    while (n < 0 && errno == EINTR); /* EAGAIN: the pipe is full of wake-ups */
}

/* Puts a copy of p into the box, waiting for room without the GIL: at most for the
 * front's write deadline, after which it closes the box. -1: the client is gone or
 * there is no memory; an exception is set. */
int outbox_write(gw_thread *t, const char *p, size_t n) {
    gw_outbox *o = &t->outbox;
    int failed;
    PyThreadState *ts = py.PyEval_SaveThread();
    pthread_mutex_lock(&o->lock);
    while (!o->closed && o->data.len >= OUTBOX_HIGH_WATER)
        pthread_cond_wait(&o->space, &o->lock);
    bool closed = o->closed;
    failed = closed || buf_add(&o->data, p, n) < 0;
    if (!failed && !t->head_sent) {
        t->head_sent = true;
        o->head_ready = true;
    }
    pthread_mutex_unlock(&o->lock);
    if (!failed)
        outbox_notify(o, GW_WAKE);
    py.PyEval_RestoreThread(ts);
    if (!failed)
        return 0;
    if (closed)
        py.PyErr_SetString(py.PyExc_ConnectionError, "the client is gone");
    else
        py.PyErr_SetString(py.PyExc_RuntimeError, "no memory for write()");
    return -1;
}

/* Adds the lines of one 103 answer, unless more wait than a client will read: they
 * are hints. -1 without memory, with no exception. */
int outbox_hint(gw_thread *t, const buf *lines) {
    gw_outbox *o = &t->outbox;
    pthread_mutex_lock(&o->lock);
    bool full = o->hints.len + lines->len > OUTBOX_HIGH_WATER;
    int rc = o->closed || full ? 0 : buf_add(&o->hints, lines->p, lines->len);
    pthread_mutex_unlock(&o->lock);
    if (rc == 0)
        outbox_notify(o, GW_WAKE);
    return rc;
}

/* Puts the part's body into the box, behind what is there, until the next chunk is
 * there or Go takes it. false, with the part as it was: the client is gone, or there is
 * no memory. */
bool outbox_cork(gw_thread *t) {
    gw_outbox *o = &t->outbox;
    pthread_mutex_lock(&o->lock);
    bool ok = !o->closed && buf_add(&o->data, t->part.body, t->part.body_len) == 0;
    bool wake = ok && !o->tended;
    o->corked = o->corked || ok;
    o->tended = o->tended || ok;
    pthread_mutex_unlock(&o->lock);
    if (wake)
        outbox_notify(o, GW_CORK);
    if (!ok)
        return false;
    t->part.body = NULL;
    t->part.body_len = 0;
    return true;
}

/* Makes what the box still holds the part's body, before the one it has; false: the part
 * stays as it was, and Go is to look into the box first. */
bool outbox_uncork(gw_thread *t) {
    gw_outbox *o = &t->outbox;
    pthread_mutex_lock(&o->lock);
    size_t n = t->part.body_len; /* 0 at the end of the iterable */
    bool joined = o->data.len > 0 && (n == 0 || buf_add(&o->data, t->part.body, n) == 0);
    if (joined) {
        buf spare = t->body;
        t->body = o->data;
        o->data = spare;
        t->part.body = t->body.p;
        t->part.body_len = t->body.len;
    }
    pthread_mutex_unlock(&o->lock);
    return joined;
}

bool gw_outbox_tend(gw_thread *t) {
    gw_outbox *o = &t->outbox;
    pthread_mutex_lock(&o->lock);
    bool corked = o->corked;
    o->tended = corked;
    o->corked = false;
    pthread_mutex_unlock(&o->lock);
    return corked;
}

void gw_outbox_take(gw_thread *t, buf *hints, buf *data, bool *head) {
    gw_outbox *o = &t->outbox;
    pthread_mutex_lock(&o->lock);
    *hints = o->hints;
    *head = o->head_ready;
    o->hints = (buf){0};
    o->head_ready = false;
    *data = (buf){0};
    if (o->data.len > 0) {
        *data = o->data;
        o->data = (buf){0};
    }
    pthread_cond_broadcast(&o->space);
    pthread_mutex_unlock(&o->lock);
}

void gw_outbox_close(gw_thread *t) {
    pthread_mutex_lock(&t->outbox.lock);
    t->outbox.closed = true;
    pthread_cond_broadcast(&t->outbox.space);
    pthread_mutex_unlock(&t->outbox.lock);
}
