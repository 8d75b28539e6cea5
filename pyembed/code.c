/* What the start has run is not what requests run: most of what imports touch,
 * CPython's compiler, the reading of settings. */
#define _GNU_SOURCE
#include "gowsgi.h"

#ifdef __linux__
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether all of the pages that are in memory are still the file's, so that the file
 * can bring them back: relocations, a debugger and what moves code into huge pages
 * leave others (Linux's admin-guide/mm/pagemap.rst). */
static bool code_is_files(int pagemap, size_t first, size_t pages) {
    uint64_t entries[512];
    while (pages > 0) {
        size_t n = pages < 512 ? pages : 512;
        if (pread(pagemap, entries, n * 8, (off_t)(first * 8)) != (ssize_t)(n * 8))
            return false;
        for (size_t i = 0; i < n; i++) {
            bool present = entries[i] >> 63 & 1, swapped = entries[i] >> 62 & 1, file = entries[i] >> 61 & 1;
            if (swapped || (present && !file))
                return false;
        }
        first += n;
        pages -= n;
    }
    return true;
}

typedef struct {
    int pagemap;
    size_t page;
} code_search;

static int code_forget_object(struct dl_phdr_info *info, size_t size, void *search) {
    const code_search *s = search;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || h->p_flags & PF_W)
            continue;
        /* Whole pages alone: the rest of one may be another segment's. */
        size_t first = (info->dlpi_addr + h->p_vaddr + s->page - 1) / s->page;
        size_t end = (info->dlpi_addr + h->p_vaddr + h->p_memsz) / s->page;
        if (first < end && code_is_files(s->pagemap, first, end - first))
            madvise((void *)(first * s->page), (end - first) * s->page, MADV_DONTNEED); /* refused: it stays */
    }
    return 0;
}

/* The dynamic linker's lock is held meanwhile: no object comes or goes. */
void gw_forget_code(size_t page) {
    code_search search = {open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), page};
    if (search.pagemap < 0)
        return;
    dl_iterate_phdr(code_forget_object, &search);
    close(search.pagemap);
}
#else
void gw_forget_code(size_t page) {
    (void)page;
}
#endif
