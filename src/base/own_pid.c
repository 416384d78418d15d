/* The number of this process: see own_pid.h. It is kept in a page that the kernel fills with zeros
 * in a child (MADV_WIPEONFORK, Linux 4.14; in an older one, each call asks). */
#include "base/own_pid.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static volatile pid_t *kept; /* 0 in there: not known; NULL: it cannot be kept */

static void make_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, size, MADV_WIPEONFORK) == 0)
        kept = page;
    else
        munmap(page, size);
}

pid_t vlock_own_pid(void)
{
    pthread_once(&once, make_page);
    if (!kept)
        return getpid();
    if (!*kept)
        *kept = getpid();
    return *kept;
}
