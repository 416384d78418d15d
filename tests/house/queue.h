/* For cppcheck, which reads no headers of the system: what TAILQ_FOREACH of <sys/queue.h> stands
 * for. */
#define TAILQ_FOREACH(variable, head, field)                                                       \
    for ((variable) = TAILQ_FIRST(head); (variable); (variable) = TAILQ_NEXT(variable, field))
