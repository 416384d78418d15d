/* The Lua files that are built in: see built_in.h. */
#include "lua/built_in.h"

#include <stdlib.h>
#include <string.h>

static int compare_name(const void *name, const void *file)
{
    return strcmp(name, ((const struct vlock_built_in *)file)->name);
}

const struct vlock_built_in *vlock_built_in_find(const char *name)
{
    return bsearch(name, vlock_built_in_files, vlock_built_in_count, sizeof *vlock_built_in_files,
                   compare_name);
}
