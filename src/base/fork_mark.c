/* A mark of a process: see fork_mark.h. It stands in a page that the kernel fills with zeros in a
 * child (MADV_WIPEONFORK, Linux 4.14). What takes any advice, as some emulators do, takes none. */
#include "base/fork_mark.h"

#include <sys/mman.h>
#include <unistd.h>

#define NO_ADVICE (-1)

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void vlock_fork_mark_set(struct vlock_fork_mark *mark)
{
    void *page =
        mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mark->process = getpid();
    mark->page = NULL;
    if (page == MAP_FAILED)
        return;
    if (madvise(page, page_size(), NO_ADVICE) == 0 ||
        madvise(page, page_size(), MADV_WIPEONFORK) != 0) {
        munmap(page, page_size());
        return;
    }
    mark->page = page;
    *mark->page = 1;
}

bool vlock_fork_mark_is_here(const struct vlock_fork_mark *mark)
{
    return mark->page ? *mark->page : mark->process == getpid();
}

void vlock_fork_mark_free(struct vlock_fork_mark *mark)
{
    if (mark->page)
        munmap((void *)mark->page, page_size());
    mark->page = NULL;
}
