/* The Lua files that are built in: see embedded.h. */
#include "embedded.h"

#include <stdlib.h>
#include <string.h>

static int compare_name(const void *name, const void *file)
{
    return strcmp(name, ((const struct vlock_embedded *)file)->name);
}

const struct vlock_embedded *vlock_embedded_find(const char *name)
{
    return bsearch(name, vlock_embedded_files, vlock_embedded_count, sizeof *vlock_embedded_files, compare_name);
}
