/*
 * SHA-1 (FIPS 180-4), by which Redis names scripts. Not a library's: pulling in OpenSSL for this
 * one function would double the time that the command takes to start.
 */
#ifndef VLOCK_SHA1_H
#define VLOCK_SHA1_H

#include <stddef.h>

/* Forty hexadecimal digits and a NUL. */
void vlock_sha1_hex(const void *bytes, size_t count, char hex[41]);

#endif
