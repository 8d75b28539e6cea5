/*
 * The C side of pyembed: an interpreter, and threads that run WSGI requests in it.
 *
 * Every function says which thread may call it. "Its thread" is the OS thread on
 * which gw_thread_start (gw_init for thread 0) ran. None of them calls into Go:
 * greenlets switch C stacks, and a Go callback on a switched stack crashes.
 */
#ifndef GOWSGI_H
#define GOWSGI_H

#include "buf.h"
#include "pyapi.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What a call brings back to Go: the next piece of an answer. Pointers hold until
 * the next call on the same thread; nothing is Go's to free but lent and file_fd. */
typedef struct {
    enum { GW_MORE, GW_LAST, GW_FILE, GW_ERROR } kind;
    bool head;   /* status, lines...: with the first piece */
    bool open;   /* the request still needs gw_next or gw_finish */
    bool wrote;  /* the outbox was used: look there first */
    int status;
    bool has_date, has_server;
    long long content_length; /* -1: none */
    const char *lines;        /* "200 OK\r\nName: value\r\n..." */
    size_t lines_len;
    const char *body;
    size_t body_len;
    PyObject *lent; /* what body lies in, if that is large: owned by the caller, see gw_return */
    int file_fd;    /* GW_FILE: owned by the caller */
    long long file_offset, file_length;
    const char *error; /* JSON (embed.describe_error), or NULL */
    size_t error_len;
} gw_part;

/* What write() and wsgi.early_hints send, and small chunks that wait for the next, on
 * their way while the application runs. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t space;
    buf data;        /* of the body */
    buf hints;       /* field lines, an empty line after each call's; before any data */
    bool head_ready; /* the thread's head is final and not taken yet */
    bool closed;     /* the client is gone: write() raises */
    int notify_fd;   /* a byte is written here when there is something to take */
    bool tended;     /* Go comes by: it need not be told of chunks */
    bool corked;     /* chunks have come since it did */
} gw_outbox;

enum { GW_KEEP = 64 << 10 }; /* bytes that a thread's buffers keep for the next request */
enum { GW_LEND = 64 << 10 }; /* bytes of the smallest body that is lent */
enum { GW_KEYS = 512 }; /* slots of a thread's key cache, a power of two */
enum { GW_VALUE = 104 }; /* bytes of the longest value that is kept */

/* A variable's name, and the last value that it had on this thread. */
typedef struct {
    uint32_t hash, len, value_len;
    const char *name; /* owned: malloc */
    PyObject *str;    /* owned: interned */
    PyObject *value;  /* owned; NULL: none */
    char text[GW_VALUE];
} gw_key;

/* One executor's thread: its Python thread state and the request it serves. Made
 * by gw_thread_new, never freed: it lives as long as the process. */
typedef struct gw_thread {
    int index;
    int stat;   /* a descriptor of what the system says of the OS thread */
    bool noted; /* there is one */
    PyThreadState *ts;
    uint64_t serial; /* of the present request; stale callables are told by it */
    bool active;     /* between gw_start and the end of the request */
    bool inside;     /* in gw_call with the GIL had; atomic, see gw_thread_inside */

    PyObject *result, *iter; /* what the application returned; its iterator */
    PyObject *context;       /* contextvars.Context of this request */
    PyObject *hold;          /* keeps part.body alive */

    buf lines, scratch; /* the head; the head that is being checked */
    int status;
    bool has_date, has_server;
    long long content_length;
    bool head_set, head_sent;
    long long given; /* bytes of the body so far */

    buf body, error;
    gw_part part;
    gw_outbox outbox;
    gw_key keys[GW_KEYS];
    int key_count;
} gw_thread;

/* What Python objects the server needs; set by gw_init, then read-only. */
struct gw_runtime {
    PyObject *embed;        /* module gowsgi.embed */
    PyObject *base_environ; /* copied for each request */
    PyObject *base_context; /* as the import of the application left it, or NULL */
    PyObject *file_wrapper; /* class */
    PyObject *bytes_io;     /* io.BytesIO */
    PyObject *open_body;    /* embed.open_body */
    PyObject *empty_bytes;
    PyObject *str_input, *str_hints, *str_close; /* "wsgi.input", "wsgi.early_hints", "close" */
};
extern struct gw_runtime gw;

/* In a process that the application forked: Go is not running here. */
extern bool gw_forked;

enum { GW_MAX_THREADS = 1024, GW_MAX_APPS = 1024 };

/* --- interp.c: any error comes back as text in *error: JSON from
 * embed.describe_error when it starts with '{'. The caller frees it. --- */

/* Initialises CPython on the calling thread, which becomes its main thread and
 * thread 0. sources is a flat record of module names and sources; bootstrap the
 * source that installs them; options goes to embed.setup. */
int gw_init(const char *program, const char *bootstrap, const char *sources, size_t sources_len,
            const char *options, char **error);
/* In a process that a zygote forked: what gowsgi.zygote.run returned there; else
 * NULL. Any thread. */
const char *gw_adopted(void);
/* Makes such a process a server: what gw_init does elsewhere. On its main thread,
 * with Go's signal handlers set. notify_fd and options as for gw_thread_new and
 * gw_init. */
int gw_adopt(gw_thread *t, int notify_fd, const char *options, char **error);
/* Loads an application; its index, or -1. On thread 0. */
int gw_load(gw_thread *t, const char *spec, char **error);
/* Calls embed.<function>(argument), without an argument when NULL, and returns
 * its str result ("" for anything else) as text that the caller frees, or NULL. */
char *gw_call(gw_thread *t, const char *function, const char *argument, char **error);
/* Ends CPython: atexit handlers, threading's shutdown. On thread 0, when no other
 * thread is in Python. Nothing of this file may be called afterwards. */
void gw_finalize(gw_thread *t);

/* --- thread.c --- */

/* Makes a thread; notify_fd is the outbox's. Any thread. NULL without memory,
 * or when there is one of that index. */
gw_thread *gw_thread_new(int index, int notify_fd);
/* Gives the calling thread a Python thread state and a name in threading. */
int gw_thread_start(gw_thread *t, const char *name, char **error);
gw_thread *gw_thread_at(int index);
/* Opens what the system says of the calling thread, for gw_thread_running. */
void gw_thread_note(gw_thread *t);
/* Whether the thread computes, or would if it had a core; -1 if unknown. Any thread. */
int gw_thread_running(gw_thread *t);
/* The calling thread as threading.get_ident() has it. */
unsigned long gw_thread_ident(void);
/* Whether the thread has come into Python for its gw_call: until then, whoever has
 * the GIL does not give it away. Any thread. */
bool gw_thread_inside(gw_thread *t);

/* --- code.c --- */

/* Unmaps the pages of code and constants of the program and its libraries: what is
 * needed comes back from the page cache at the next touch. page: a page's size. Any
 * thread. */
void gw_forget_code(size_t page);

/* --- request.c: on its thread; each is one crossing --- */

/* Runs an application on a request: record is the flat environ, the body lies
 * either in memory (copied) or in body_fd (>= 0; duplicated). The result is in
 * t->part. */
void gw_start(gw_thread *t, int app, const char *record, size_t record_len,
              const char *body, size_t body_len, int body_fd);
/* Fetches the next chunk. satisfied: the client has its whole answer already, so
 * close() may run in this crossing when the iterable ends. */
void gw_next(gw_thread *t, bool satisfied);
/* Ends a request early, or after its last piece: close() is called. */
void gw_finish(gw_thread *t);

/* --- loan.c --- */

/* Gives back what a part lent. It is released when a thread has the GIL next; true:
 * the caller is to see that gw_reap is called before long, in case none has. Any thread. */
bool gw_return(PyObject *lent);
/* Releases what was given back; false: there was nothing. Any thread that is no
 * executor's. */
bool gw_reap(void);

/* --- outbox.c --- */

/* Moves what the outbox holds into *hints and *data (malloc; the caller frees);
 * *head: the thread's head comes before the data. Any thread. */
void gw_outbox_take(gw_thread *t, buf *hints, buf *data, bool *head);
/* Tells whether chunks have come since it was asked last; if not, Go is told again of
 * the next one. Any thread. */
bool gw_outbox_tend(gw_thread *t);
/* Makes every further write() of this request raise. Any thread. */
void gw_outbox_close(gw_thread *t);
/* The bytes that notify_fd gets: for what is to be taken at once, and for a chunk that
 * the next one may follow at once. */
enum { GW_WAKE = 'w', GW_CORK = 'c' };

/* --- between the C files; with the GIL --- */

void loan_release(void);
void loan_close(void); /* without the GIL: gw_reap does nothing any more */
PyObject *environ_new(gw_thread *t, const char *record, size_t len);
PyObject *input_new(const char *body, size_t len, int fd);
/* Puts start_response into *start and wsgi.early_hints into *hints; -1 without. */
int callables_new(gw_thread *t, PyObject **start, PyObject **hints);
int outbox_write(gw_thread *t, const char *p, size_t n);
int outbox_hint(gw_thread *t, const buf *lines);
bool outbox_cork(gw_thread *t);
bool outbox_uncork(gw_thread *t);
void outbox_reset(gw_thread *t);
/* Takes the pending exception as JSON into out; clears it. */
void error_take(buf *out);
char *error_text(void);
int request_add_app(PyObject *app); /* steals the reference; its index, or -1 */
bool file_begin(gw_thread *t);
int interp_register(const char *name);
/* Ends a forked child that came back to where Go would be. */
void fork_exit(void);
int fork_guard(void);
void fork_adopt(void); /* learns which handlers are Go's */
int interp_adopt(gw_thread *t, const char *options, char **error);
void zygote_forked(void);

#endif
