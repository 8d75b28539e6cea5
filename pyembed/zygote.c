/*
 * A zygote: a process that holds a Python in which an application is imported
 * once, and that forks workers from it. Go cannot fork after its runtime has
 * started, so a zygote runs in a constructor, before it: this program started anew
 * with GOWSGI_ZYGOTE in its environment. What is left of a constructor in a forked
 * worker is to return: Go then starts there with Python already warm.
 */
#include "gowsgi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_FD = 3, STATE_FD = 4 };

bool gw_zygote;

static char *adopted; /* what gowsgi.zygote.run said in this process, or NULL */

/* Signals that a terminal or a service manager sends to every process: it is the
 * master that ends a zygote, by closing its socket. */
static const int others[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

static void ignore_signals(void (*how)(int)) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        signal(others[i], how);
}

void zygote_forked(void) {
    if (gw_zygote)
        ignore_signals(SIG_DFL);
    gw_zygote = false;
}

/* Reads all of a descriptor; NULL without memory. */
static char *read_all(int fd, size_t *len) {
    buf b = {0};
    for (;;) {
        if (buf_room(&b, 65536) < 0)
            return NULL;
        ssize_t n = read(fd, b.p + b.len, b.cap - b.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        b.len += (size_t)n;
    }
    *len = b.len;
    return b.p;
}

/* Finds a value in a flat record, as bridge.Record writes it. Values but the last
 * are copied, to end in a NUL. */
static const char *find(const char *rec, size_t len, const char *name, size_t *value_len) {
    const char *end = rec + len;
    while (end - rec >= 8) {
        uint32_t n, v;
        memcpy(&n, rec, 4);
        memcpy(&v, rec + 4, 4);
        rec += 8;
        if (n == strlen(name) && memcmp(rec, name, n) == 0) {
            *value_len = v;
            return rec + n;
        }
        rec += (size_t)n + v;
    }
    return NULL;
}

static char *find_text(const char *rec, size_t len, const char *name) {
    size_t n = 0;
    const char *p = find(rec, len, name, &n);
    return strndup(p ? p : "", p ? n : 0);
}

static pid_t master;

static void leave_orphaned(int sig) {
    (void)sig;
    if (getppid() != master) /* else it was a thread of the master's that ended */
        _exit(1);
}

/* Ends this process with its master, whatever runs here then: an import or a hook
 * may take hours, or for ever. Forked processes do not inherit that (prctl(2)). */
static void follow_master(pid_t pid) {
    master = pid;
#ifdef __linux__
    signal(SIGRTMAX, leave_orphaned);
    prctl(PR_SET_PDEATHSIG, SIGRTMAX);
#endif
    leave_orphaned(0); /* it may have ended before */
}

static void call_process(const char *name) {
#ifdef __linux__
    prctl(PR_SET_NAME, name);
#else
    (void)name;
#endif
}

/* Closes listeners that were meant for the master, as systemd passes them: held here
 * they would stay open when the master has closed them. Workers get theirs with each
 * fork. What else was inherited the configuration file may know of. */
static void close_listeners(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        int fd = atoi(e->d_name), listens = 0;
        socklen_t size = sizeof listens;
        if (fd > STATE_FD && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens)
            close(fd);
    }
    closedir(dir);
}

/* Tells the master why there is no Python; it is the answer to its first question. */
static void give_up(char *error) {
    if (!error)
        error = strdup("no memory");
    char question; /* left unread it would become a reset, which loses the answer */
    if (recv(CONTROL_FD, &question, 1, 0) < 0 ||
        send(CONTROL_FD, error, strlen(error), MSG_NOSIGNAL) < 0)
        perror("gowsgi: telling the master");
    _exit(1);
}

/* gowsgi.zygote.run(CONTROL_FD): returns in a forked worker only. */
static char *serve(gw_thread *t) {
    py.PyEval_RestoreThread(t->ts);
    PyObject *module = py.PyImport_ImportModule("gowsgi.zygote");
    PyObject *run = module ? py.PyObject_GetAttrString(module, "run") : NULL;
    PyObject *fd = run ? py.PyLong_FromLongLong(CONTROL_FD) : NULL;
    PyObject *text = fd ? py_call1(run, fd) : NULL;
    Py_ssize_t n = 0;
    const char *p = text ? py.PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    char *said = p ? strdup(p) : NULL;
    if (!said)
        give_up(error_text());
    py.Py_DecRef(text);
    py.Py_DecRef(fd);
    py.Py_DecRef(run);
    py.Py_DecRef(module);
    t->ts = py.PyEval_SaveThread();
    return said;
}

__attribute__((constructor)) static void zygote(void) {
    if (!getenv("GOWSGI_ZYGOTE"))
        return;
    unsetenv("GOWSGI_ZYGOTE");
    gw_zygote = true;
    ignore_signals(SIG_IGN);
    fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    size_t len = 0, sources_len = 0;
    char *state = read_all(STATE_FD, &len);
    close(STATE_FD);
    gw_thread *t = gw_thread_new(0, -1);
    if (!state || !t)
        give_up(NULL);
    char *library = find_text(state, len, "library"), *program = find_text(state, len, "program");
    char *boot = find_text(state, len, "bootstrap"), *options = find_text(state, len, "options");
    char *parent = find_text(state, len, "master"), *name = find_text(state, len, "name");
    const char *sources = find(state, len, "sources", &sources_len);
    if (!library || !program || !boot || !options || !parent || !name)
        give_up(NULL);
    call_process(name);
    follow_master((pid_t)atol(parent));
    close_listeners();
    char *error = pyapi_open(library);
    if (error || gw_init(program, boot, sources, sources_len, options, &error) != 0)
        give_up(error);
    free(state);
    free(library);
    free(program);
    free(boot);
    free(options);
    free(parent);
    free(name);
    adopted = serve(t);
    gw_forked = false; /* it becomes a server of its own */
}

const char *gw_adopted(void) { return adopted; }

int gw_adopt(gw_thread *t, int notify_fd, const char *options, char **error) {
    t->outbox.notify_fd = notify_fd;
    fork_adopt();
    return interp_adopt(t, options, error);
}
