/* Numbers with a point: see numeric_locale.h. */
#include "base/numeric_locale.h"

locale_t vlock_numeric_locale_new(void)
{
    locale_t present = duplocale(uselocale((locale_t)0));
    locale_t locale = present ? newlocale(LC_NUMERIC_MASK, "C", present) : (locale_t)0;
    if (present && !locale)
        freelocale(present);
    return locale;
}

void vlock_numeric_locale_free(locale_t locale)
{
    if (locale)
        freelocale(locale);
}

locale_t vlock_numeric_locale_use(locale_t locale)
{
    return uselocale(locale);
}
