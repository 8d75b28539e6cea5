/* A growing byte buffer. The owner frees it with buf_free; zeroed is empty. */
#ifndef GOWSGI_BUF_H
#define GOWSGI_BUF_H

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *p;
    size_t len, cap;
} buf;

/* Makes room for n more bytes; -1 without memory. */
static inline int buf_room(buf *b, size_t n) {
    if (b->cap - b->len >= n)
        return 0;
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->len < n)
        cap *= 2;
    char *p = realloc(b->p, cap);
    if (!p)
        return -1;
    b->p = p;
    b->cap = cap;
    return 0;
}

static inline int buf_add(buf *b, const char *p, size_t n) {
    if (buf_room(b, n) < 0)
        return -1;
    memcpy(b->p + b->len, p, n);
    b->len += n;
    return 0;
}

static inline void buf_free(buf *b) {
    free(b->p);
    *b = (buf){0};
}

/* Empties b; gives memory back that only a rare large use needed. */
static inline void buf_reset(buf *b, size_t keep) {
    if (b->cap > keep)
        buf_free(b);
    b->len = 0;
}

#endif
