/* The reader that ours is held against: what one would write by hand for one table and one disk.

   io_uring by system calls alone, O_DIRECT, registered files and buffer, 64 reads at most. Rows are
   264-byte records, 15 in a page of 4,096 bytes, one file a layer. No checks, no sharing of pages,
   no dequantisation: records are copied to `out` in the order of the ids. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DEPTH = 64, PAGE = 4096, RECORD = 264, A_PAGE = 15 };

struct reader {
    int ring;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    char *pages;
    int64_t first[16]; /* offset of the first page of each file */
};

void *reader_open(const char **paths, const int64_t *first, int count)
{
    struct reader *r = calloc(1, sizeof *r);
    struct io_uring_params p = {.flags = IORING_SETUP_COOP_TASKRUN};
    int files[16];
    r->ring = syscall(SYS_io_uring_setup, DEPTH, &p);
    if (r->ring < 0) return NULL;
    char *rings = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof *r->cqes + 4 * p.sq_entries,
                       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->ring,
                       IORING_OFF_SQ_RING);
    r->sqes = mmap(0, p.sq_entries * sizeof *r->sqes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_POPULATE, r->ring, IORING_OFF_SQES);
    r->pages = mmap(0, DEPTH * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (rings == MAP_FAILED || r->sqes == MAP_FAILED || r->pages == MAP_FAILED) return NULL;
    r->sq_tail = (unsigned *)(rings + p.sq_off.tail);
    r->sq_mask = (unsigned *)(rings + p.sq_off.ring_mask);
    r->sq_array = (unsigned *)(rings + p.sq_off.array);
    r->cq_head = (unsigned *)(rings + p.cq_off.head);
    r->cq_tail = (unsigned *)(rings + p.cq_off.tail);
    r->cq_mask = (unsigned *)(rings + p.cq_off.ring_mask);
    r->cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    for (int i = 0; i < count; i++) {
        files[i] = open(paths[i], O_RDONLY | O_DIRECT);
        if (files[i] < 0) return NULL;
        r->first[i] = first[i];
    }
    struct iovec whole = {r->pages, DEPTH * PAGE};
    if (syscall(SYS_io_uring_register, r->ring, IORING_REGISTER_FILES, files, count) < 0) return NULL;
    if (syscall(SYS_io_uring_register, r->ring, IORING_REGISTER_BUFFERS, &whole, 1) < 0) return NULL;
    for (int i = 0; i < count; i++) close(files[i]);
    return r;
}

/* Read n rows: ids[i] of file file[i] to out + i * RECORD. Returns 0, or what failed. */
int reader_rows(void *reader, const int64_t *ids, const int32_t *file, int n, char *out)
{
    struct reader *r = reader;
    int row[DEPTH], slots[DEPTH], num_free = DEPTH, next = 0, done = 0;
    for (int i = 0; i < DEPTH; i++) slots[i] = i;
    while (done < n) {
        unsigned tail = *r->sq_tail, new = 0;
        for (; num_free && next < n; next++, new ++) {
            int slot = slots[--num_free];
            unsigned at = (tail + new) & *r->sq_mask;
            struct io_uring_sqe *s = &r->sqes[at];
            memset(s, 0, sizeof *s);
            s->opcode = IORING_OP_READ_FIXED;
            s->flags = IOSQE_FIXED_FILE;
            s->fd = file[next];
            s->off = r->first[file[next]] + ids[next] / A_PAGE * PAGE;
            s->addr = (uintptr_t)(r->pages + slot * PAGE);
            s->len = PAGE;
            s->user_data = slot;
            r->sq_array[at] = at;
            row[slot] = next;
        }
        __atomic_store_n(r->sq_tail, tail + new, __ATOMIC_RELEASE);
        int left = n - done < 16 ? n - done : 16;
        if (syscall(SYS_io_uring_enter, r->ring, new, left, IORING_ENTER_GETEVENTS, 0, 0) < 0) return 1;
        unsigned head = *r->cq_head, end = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
        for (; head != end; head++, done++) {
            struct io_uring_cqe *c = &r->cqes[head & *r->cq_mask];
            int slot = c->user_data, i = row[slot];
            if (c->res != PAGE) return 2;
            memcpy(out + (int64_t)i * RECORD, r->pages + slot * PAGE + ids[i] % A_PAGE * RECORD, RECORD);
            slots[num_free++] = slot;
        }
        __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    }
    return 0;
}

void reader_close(void *reader)
{
    struct reader *r = reader;
    close(r->ring);
    munmap(r->pages, DEPTH * PAGE);
    free(r);
}
