/* What the command has to say, on standard error. */
#ifndef VLOCK_MESSAGE_H
#define VLOCK_MESSAGE_H

/* A line, without passwords and without what a terminal would take for an order. */
void vlock_message_print(const char *text);

#endif
