#define _GNU_SOURCE
#include "gowsgi.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static gw_thread *threads[GW_MAX_THREADS];

gw_thread *gw_thread_new(int index, int notify_fd) {
    if (index < 0 || index >= GW_MAX_THREADS || threads[index])
        return NULL;
    gw_thread *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->index = index;
    t->outbox.notify_fd = notify_fd;
    pthread_mutex_init(&t->outbox.lock, NULL);
    pthread_cond_init(&t->outbox.space, NULL);
    threads[index] = t;
    return t;
}

gw_thread *gw_thread_at(int index) {
    return index >= 0 && index < GW_MAX_THREADS ? threads[index] : NULL;
}

int gw_thread_start(gw_thread *t, const char *name, char **error) {
    /* Makes this OS thread's state and binds it for the PyGILState API, which C
     * extensions use; it is never released. */
    py.PyGILState_Ensure();
    int rc = interp_register(name);
    if (rc < 0)
        *error = error_text();
    t->ts = py.PyEval_SaveThread();
    return rc;
}

void gw_thread_note(gw_thread *t) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/task/%ld/stat", (long)syscall(SYS_gettid));
    t->stat = open(name, O_RDONLY | O_CLOEXEC);
    t->noted = t->stat >= 0;
}

/* 2.7 us, where the thread's CPU clock would tell nothing of one without a core. */
int gw_thread_running(gw_thread *t) {
    char text[128]; /* "number (name) state ...", the name has at most 64 bytes */
    ssize_t n = t->noted ? pread(t->stat, text, sizeof text - 1, 0) : 0;
    if (n <= 0)
        return -1;
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return p && p[1] == ' ' ? p[2] == 'R' : -1;
}

unsigned long gw_thread_ident(void) { return (unsigned long)pthread_self(); }

bool gw_thread_inside(gw_thread *t) { return __atomic_load_n(&t->inside, __ATOMIC_ACQUIRE); }
