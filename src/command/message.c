/* What the command has to say: see message.h. */
#include "command/message.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/secret.h"

static void print_part(const char *text, size_t length)
{
    char shown[VLOCK_PRINTABLE_SIZE];
    for (size_t taken; length > 0; text += taken, length -= taken) {
        taken = vlock_printable_step(text, length, shown);
        fputs(shown, stderr);
    }
}

void vlock_message_print(const char *text)
{
    size_t length = strlen(text), done = 0, at = 0, count;
    for (; vlock_secret_find(text, length, &at, &count); done = at += count) {
        print_part(text + done, at - done);
        fputs("***", stderr);
    }
    print_part(text + done, length - done);
    fputc('\n', stderr);
}
