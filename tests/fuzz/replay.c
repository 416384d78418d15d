/* The short form of fuzzing, for compilers without libFuzzer: every file of the target's corpus,
 * and a few hundred mutations of each by a seeded generator. Writes TAP, a line for each file.
 * usage: TARGET                      tests/fuzz/corpus/TARGET
 *        TARGET FILE …               only these, as they are, in this process: for debuggers
 * VLOCK_FUZZ_SEED: other mutations. VLOCK_FUZZ_MUTATIONS: so many of each file; else, of a slow
 * target, those that a tenth of a second has room for. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "property.h"

#define LONGEST_INPUT 65536
#define MUTATIONS 300
#define USUAL_NS (VLOCK_NS_PER_SECOND / 10)
#define MOST_SECONDS 60 /* for a file: what takes longer hangs */

struct input {
    size_t size;
    uint8_t bytes[LONGEST_INPUT];
};

static void give_up(const char *what, const char *path)
{
    printf("Bail out! %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void read_input(const char *path, struct input *input)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up("cannot open", path);
    input->size = fread(input->bytes, 1, sizeof input->bytes, file);
    if (ferror(file) || !feof(file)) {
        errno = ferror(file) ? errno : EFBIG;
        give_up("cannot read all of", path);
    }
    fclose(file);
}

/* ---- mutations ---- */

static size_t below(struct vlock_random *random, size_t bound)
{
    return bound ? (size_t)(vlock_random_next(random) % bound) : 0;
}

/* Bytes that mean something to one of the targets, or are at the end of a range. */
static const char telling[] = "\0\xff\x7f\x80\n\r\t \"\\%@:/?[]{}()*$+-_=,.0123456789eE~^";

static void overwrite(struct vlock_random *random, struct input *input)
{
    if (input->size)
        input->bytes[below(random, input->size)] =
            below(random, 2) ? (uint8_t)telling[below(random, sizeof telling - 1)]
                             : (uint8_t)vlock_random_next(random);
}

static void flip_bit(struct vlock_random *random, struct input *input)
{
    if (input->size)
        input->bytes[below(random, input->size)] ^= (uint8_t)(1u << below(random, 8));
}

static void cut_out(struct vlock_random *random, struct input *input)
{
    size_t from = below(random, input->size);
    size_t count = below(random, input->size - from < 32 ? input->size - from : 32);
    memmove(input->bytes + from, input->bytes + from + count, input->size - from - count);
    input->size -= count;
}

/* A piece of the input once more, at another place. */
static void repeat(struct vlock_random *random, struct input *input)
{
    uint8_t piece[64];
    size_t from = below(random, input->size), at = below(random, input->size + 1);
    size_t count = below(random, sizeof piece) + 1;
    if (count > input->size - from)
        count = input->size - from;
    if (input->size + count > LONGEST_INPUT)
        return;
    memcpy(piece, input->bytes + from, count);
    memmove(input->bytes + at + count, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, piece, count);
    input->size += count;
}

static void insert(struct vlock_random *random, struct input *input)
{
    size_t at = below(random, input->size + 1);
    if (input->size == LONGEST_INPUT)
        return;
    memmove(input->bytes + at + 1, input->bytes + at, input->size - at);
    input->bytes[at] = (uint8_t)telling[below(random, sizeof telling - 1)];
    input->size++;
}

static void cut_off(struct vlock_random *random, struct input *input)
{
    input->size = below(random, input->size + 1);
}

/* Mutation `number` of a seed: the same one whatever was tried before. */
static void mutate(uint64_t seed, uint64_t number, struct input *input)
{
    static void (*const ways[])(struct vlock_random *, struct input *) = {
        overwrite, flip_bit, cut_out, repeat, insert, overwrite, insert, cut_off};
    struct vlock_random random;
    vlock_random_seed(&random, seed, number);
    for (size_t left = 1 + below(&random, 4); left > 0; left--)
        ways[below(&random, sizeof ways / sizeof *ways)](&random, input);
}

/* ---- one file ---- */

/* What the child that runs the inputs is at, for the parent when it has died. */
struct progress {
    uint64_t number; /* of the mutation; 0: the file as it is */
    struct input input;
};

static uint64_t setting(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : usual;
}

static void run_input(const struct input *input)
{
    /* Its own memory, no byte more: what is read behind the end is seen by the sanitizers. */
    uint8_t *bytes = malloc(input->size ? input->size : 1);
    if (!bytes)
        give_up("out of memory for", "an input");
    memcpy(bytes, input->bytes, input->size);
    LLVMFuzzerTestOneInput(bytes, input->size);
    free(bytes);
}

static void run_file(const struct input *whole, struct progress *progress, uint64_t seed)
{
    uint64_t wanted = setting("VLOCK_FUZZ_MUTATIONS", 0), count = wanted ? wanted : MUTATIONS;
    int64_t end_ns = vlock_clock_now() + USUAL_NS;
    if (!wanted)
        alarm(MOST_SECONDS);
    for (uint64_t number = 0; number <= count; number++) {
        if (!wanted && number > 1 && vlock_clock_now() > end_ns)
            break;
        progress->number = number;
        progress->input.size = whole->size;
        memcpy(progress->input.bytes, whole->bytes, whole->size);
        if (number)
            mutate(seed, number, &progress->input);
        run_input(&progress->input);
    }
}

static void keep_input(const char *target, const struct input *input)
{
    char path[PATH_MAX];
    mkdir("build", 0777);
    mkdir("build/fuzz", 0777);
    snprintf(path, sizeof path, "build/fuzz/%s-failed", target);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(input->bytes, 1, input->size, file) != input->size)
        give_up("cannot write", path);
    fclose(file);
    printf("# the input that fails: %s\n", path);
}

/* In a child of its own: a crash is a test that failed. */
static int test_file(const char *target, const char *folder, const char *name, int number,
                     struct progress *progress)
{
    char path[PATH_MAX + NAME_MAX + 2];
    uint64_t seed = setting("VLOCK_FUZZ_SEED", 1);
    static struct input whole;
    int status = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    read_input(path, &whole);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        give_up("cannot fork for", path);
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* what a target prints is no TAP */
        run_file(&whole, progress, seed);
        exit(0);
    }
    if (waitpid(child, &status, 0) < 0)
        give_up("cannot wait for", path);
    printf("%s %d - %s\n", status == 0 ? "ok" : "not ok", number, name);
    if (status == 0)
        return 0;
    if (WIFSIGNALED(status))
        printf("# signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        printf("# exit code %d\n", WEXITSTATUS(status));
    printf("# mutation %llu of seed %llu (VLOCK_FUZZ_SEED); 0 is the file itself\n",
           (unsigned long long)progress->number, (unsigned long long)seed);
    keep_input(target, &progress->input);
    return 1;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int test_corpus(const char *target)
{
    char folder[PATH_MAX];
    struct dirent **entries;
    struct progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", target);
    int count = scandir(folder, &entries, is_shown, alphasort), failed = 0;
    if (progress == MAP_FAILED || count <= 0)
        give_up("no files in", folder);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        failed += test_file(target, folder, entries[i]->d_name, i + 1, progress);
        free(entries[i]);
    }
    free(entries);
    munmap(progress, sizeof *progress);
    return failed > 0;
}

int main(int argc, char **argv)
{
    static struct input input;
    const char *slash = strrchr(argv[0], '/');
    for (int i = 1; i < argc; i++) {
        read_input(argv[i], &input);
        run_input(&input);
    }
    return argc > 1 ? 0 : test_corpus(slash ? slash + 1 : argv[0]);
}
