/* Runs a program and says what it took: its wall time, processor time and largest memory. A parent
 * of its own, because the largest memory of a child begins with that of the process that forked it,
 * which for an interpreter is more than vlockrun takes.
 *
 * usage: launch FILE PROGRAM [ARGUMENT …]
 *
 * Writes "SECONDS CPU-SECONDS BYTES" into FILE, and ends as the program did. */
#include <stdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int count, char **words)
{
    struct rusage used;
    double started, ended;
    int status;
    pid_t child;
    FILE *file;
    if (count < 3)
        return 2;
    started = seconds_now();
    child = fork();
    if (child < 0)
        return 126;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(words[2], words + 2);
        perror(words[2]);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child)
        return 126;
    ended = seconds_now();
    file = fopen(words[1], "w");
    if (!file)
        return 126;
    fprintf(file, "%.6f %.6f %ld\n", ended - started,
            seconds_of(used.ru_utime) + seconds_of(used.ru_stime), used.ru_maxrss * 1024);
    if (fclose(file) != 0)
        return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
