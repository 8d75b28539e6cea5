/*
 * Large bodies are sent from where they lie: Go owns the bytes object until nobody
 * reads it any more. Only who has the GIL may release it, so it is kept here until an
 * executor comes by. Should none come, gw_reap does it, on a thread that is not
 * Python's: of exactly bytes, whose release runs no code of the application.
 */
#include "gowsgi.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static PyObject **returned; /* malloc */
static size_t count, room;
static bool due; /* gw_reap will be called */

static pthread_mutex_t reaping = PTHREAD_MUTEX_INITIALIZER;
static bool closed;

bool gw_return(PyObject *lent) {
    pthread_mutex_lock(&lock);
    if (count == room) {
        size_t more = room ? 2 * room : 16;
        PyObject **grown = realloc(returned, more * sizeof *grown);
        if (grown) {
            returned = grown;
            room = more;
        }
    }
    if (count < room) /* else it is never released: there is no memory to note it */
        returned[count] = lent;
    __atomic_store_n(&count, count + (count < room), __ATOMIC_RELAXED);
    bool first = !due;
    due = true;
    pthread_mutex_unlock(&lock);
    return first;
}

/* With the GIL. */
void loan_release(void) {
    if (__atomic_load_n(&count, __ATOMIC_RELAXED) == 0)
        return;
    pthread_mutex_lock(&lock);
    PyObject **list = returned;
    size_t n = count;
    returned = NULL;
    __atomic_store_n(&count, 0, __ATOMIC_RELAXED);
    room = 0;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < n; i++)
        py.Py_DecRef(list[i]);
    free(list);
}

bool gw_reap(void) {
    pthread_mutex_lock(&lock);
    due = false;
    bool any = count > 0;
    pthread_mutex_unlock(&lock);
    if (!any)
        return false;
    pthread_mutex_lock(&reaping);
    if (!closed) {
        int state = py.PyGILState_Ensure();
        loan_release();
        py.PyGILState_Release(state);
    }
    pthread_mutex_unlock(&reaping);
    return true;
}

void loan_close(void) {
    pthread_mutex_lock(&reaping);
    closed = true;
    pthread_mutex_unlock(&reaping);
}
