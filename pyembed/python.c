/*
 * The python of a program of one file: sys.executable, which multiprocessing and others
 * start, is a link to that program in the same folder, and under that name it is only a
 * python. That spares the file an interpreter's executable, and starts wherever the
 * program itself does.
 */
#define _GNU_SOURCE
#include "gowsgi.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The packed libpython, if a name that this process was started by is a python beside
 * its program. The result is the caller's to free. */
static char *python_library(const char *name) {
    char named[PATH_MAX], self[PATH_MAX], real[PATH_MAX], *library = NULL;
    const char *base = strrchr(name, '/');
    if (!base || strncmp(base, "/python", 7) != 0 || base - name >= (ptrdiff_t)sizeof named)
        return NULL;
    snprintf(named, sizeof named, "%.*s", (int)(base - name), name);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *end = strrchr(self, '/');
    if (!end)
        return NULL;
    *end = 0;
    if (!realpath(named, real) || strcmp(real, self) != 0 || asprintf(&library, "%s/../lib/libpython.so", self) < 0)
        return NULL;
    if (access(library, F_OK) == 0)
        return library;
    free(library);
    return NULL;
}

#ifdef __GLIBC__ /* its constructors get main's arguments */
__attribute__((constructor)) static void python(int argc, char **argv) {
    char *library = argc > 0 ? python_library(argv[0]) : NULL;
    if (!library)
        return;
    void *lib = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    void *found = lib ? dlsym(lib, "Py_BytesMain") : NULL;
    int (*run)(int, char **) = NULL;
    memcpy(&run, &found, sizeof run);
    free(library);
    if (run)
        exit(run(argc, argv));
    fprintf(stderr, "%s: %s\n", argv[0], dlerror());
    exit(1);
}
#endif
