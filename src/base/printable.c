/* Texts for a terminal: see printable.h. */
#include "base/printable.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The bytes of the character that begins here (RFC 3629, table 3-7 of Unicode); 0: none does. */
static size_t character_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    size_t count = first < 0x80   ? 1
                   : first < 0xc2 ? 0
                   : first < 0xe0 ? 2
                   : first < 0xf0 ? 3
                   : first < 0xf5 ? 4
                                  : 0;
    if (count > length)
        return 0;
    for (size_t i = 1; i < count; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f))
        return 0; /* longer than need be, half a surrogate pair, or beyond the last */
    return count;
}

static bool is_control(const unsigned char *character, size_t count)
{
    if (count == 2)
        return character[0] == 0xc2 && character[1] < 0xa0;
    return count == 1 && (character[0] < ' ' || character[0] == 127) && character[0] != '\n' &&
           character[0] != '\t';
}

size_t vlock_printable_step(const char *text, size_t length, char shown[VLOCK_PRINTABLE_SIZE])
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t count = character_length(bytes, length);
    if (count == 0 || is_control(bytes, count)) {
        snprintf(shown, VLOCK_PRINTABLE_SIZE, "\\x%02x", bytes[0]);
        return 1;
    }
    memcpy(shown, text, count);
    shown[count] = '\0';
    return count;
}
