/* Numbers have a point while vlock runs, whatever the program's locale: on the wire, in JSON, in
 * durations. */
#ifndef VLOCK_NUMERIC_LOCALE_H
#define VLOCK_NUMERIC_LOCALE_H

#include <locale.h>

/* The program's present locale with the numbers of "C". (locale_t)0: the system has no memory for
 * it, and nothing is changed by it below. */
locale_t vlock_numeric_locale_new(void);
void vlock_numeric_locale_free(locale_t locale);

/* Makes it this thread's; returns what was before, to be given back by the same function. */
locale_t vlock_numeric_locale_use(locale_t locale);

#endif
