/* Options and verbs of vlockrun: see option_table.h. */
#include "command/option_table.h"

#include <string.h>

const struct vlock_option vlock_options_known[] = {
    {NULL, 0, FORM_NONE, NULL, "What to run"},
    {"eval", 'e', FORM_TEXT, "CHUNK", "run this line of Lua instead of a file"},
    {NULL, 0, FORM_NONE, NULL, "The server"},
    {"url", 'u', FORM_URL, "URL",
     "redis://[[user:]password@]host[:port][/db], with rediss:// for TLS; unix:///path; "
     "redis+cluster://host[:port],... for a cluster; redis+sentinel://host[:port],.../service[/db] "
     "for a service with sentinels; default for scripts: "
     "$VLOCK_REDIS_URL, else, and for policies always, a private empty server"},
    {"cluster", 0, FORM_NONE, NULL,
     "the servers of --url are nodes of a cluster, as redis+cluster:// says it too"},
    {"password-file", 0, FORM_FILE, "FILE",
     "its first line is the password, where the URL has none ($REDISCLI_AUTH does too)"},
    {"cacert", 0, FORM_FILE, "FILE",
     "for TLS: the CA that the server's certificate is from, default: those of the system"},
    {"cert", 0, FORM_FILE, "FILE", "for TLS: the client's certificate"},
    {"cert-key", 0, FORM_FILE, "FILE", "for TLS: its key, without a passphrase"},
    {"sni", 0, FORM_TEXT, "NAME",
     "for TLS: whom the server's certificate must be for, and whom to ask for; default: the host "
     "of the URL"},
    {"insecure", 0, FORM_NONE, NULL,
     "for TLS: take whoever answers for the server, and give it passwords and data"},
    {NULL, 0, FORM_NONE, NULL, "A policy under contention"},
    {"workers", 'w', FORM_COUNT, "N", "clients that update, default 50"},
    {"keys", 'k', FORM_COUNT, "N", "keys they share, default 1"},
    {"dist", 0, FORM_TEXT, "DIST", "how a worker chooses its key: own, uniform (default), zipf:S"},
    {"commits", 'n', FORM_COUNT, "N", "updates in all, default 10k"},
    {"per-worker", 0, FORM_COUNT, "N", "updates of each worker, instead of --commits"},
    {"duration", 'd', FORM_DURATION, "TIME", "how long, instead of --commits"},
    {"rate", 0, FORM_RATE, "N",
     "open loop: N updates begin per second in all, at random (Poisson), whether earlier ones have "
     "ended or not"},
    {"think", 0, FORM_DURATION, "TIME", "pause between the updates of a worker, default 0"},
    {"value-size", 0, FORM_COUNT, "BYTES", "of a value, default: as long as the counter"},
    {"connections", 'c', FORM_COUNT, "N", "connections, default one per worker, at most 64"},
    {"store", 's', FORM_TEXT, "NAME|FILE",
     "how cells are read and committed: plain (default), watch, ifeq, envelope, or a "
     "file of your own"},
    {"combine", 0, FORM_NONE, NULL,
     "workers that update the same key at the same time make one commit together"},
    {"sim", 0, FORM_OPTIONAL, "MODEL",
     "simulate network and server in virtual time: loopback (default), lan, wan, aws, or a file of "
     "your own; the same --seed, the same result"},
    {"param", 'p', FORM_TEXT, "NAME=VALUE",
     "a parameter of the policy: backoff.base=5ms; the bare name where one part has it"},
    {"runs", 0, FORM_COUNT, "N",
     "repeat, and show medians and spread; default 1, for compare and --sweep 3"},
    {"sweep", 0, FORM_TEXT, "NAME=A,B,C",
     "once for each value of workers, keys, rate ... or of a parameter; two sweeps make a grid"},
    {"require", 0, FORM_TEXT, "EXPR",
     "a threshold over a field of the JSON: 'p99<20ms'; not met: exit code 4; repeatable"},
    {"plot", 0, FORM_FILE, "FILE",
     "draw what was measured, with gnuplot: FILE.svg, FILE.png or FILE.txt"},
    {"report", 0, FORM_FILE, "FILE",
     "one HTML page with tables, pictures, the exact command, seed and versions"},
    {"hgrm", 0, FORM_FILE, "FILE",
     "latencies as HdrHistogram's plotter reads them; of several policies, a file each: FILE.NAME"},
    {"interval", 0, FORM_DURATION, "TIME",
     "a line on standard error every so often, while it runs"},
    {"history", 0, FORM_FILE, "FILE",
     "write down every attempt of every run, as JSON lines; vlockrun verify FILE checks it"},
    {"trace", 0, FORM_FILE, "FILE",
     "what each worker did when, in Chrome's trace format, for ui.perfetto.dev"},
    {NULL, 0, FORM_NONE, NULL, "In general"},
    {"json", 0, FORM_NONE, NULL,
     "one JSON document on standard output; all else goes to standard error"},
    {"seed", 0, FORM_COUNT, "N", "start of all random numbers, default: from the system"},
    {"timeout", 0, FORM_DURATION, "TIME",
     "end the run after this time; what Lua cannot interrupt, 5 s later by force"},
    {"max-memory", 0, FORM_COUNT, "BYTES",
     "what Lua code and its values may take, from 1M, and what needs more is an error; default: no "
     "bound"},
    {"busy-poll", 0, FORM_DURATION, "TIME",
     "look for a reply for so long before sleeping, where replies come that soon and nobody else "
     "needs the processor; default 200us; 0: sleep at once"},
    {"no-color", 0, FORM_NONE, NULL, "no colours on a terminal"},
    {"help", 'h', FORM_NONE, NULL, "the options; behind a verb, what it does"},
    {"version", 'V', FORM_NONE, NULL, "versions of vlock and of what it runs on"},
};

const size_t vlock_option_count = sizeof vlock_options_known / sizeof *vlock_options_known;

const struct vlock_verb vlock_verbs[] = {
    {"compare", "POLICY ...", "policies side by side, as a table",
     "Runs every POLICY under the same scenario, round by round, so that noise hits\n"
     "all alike, and shows medians, spread and what is best. POLICY is a name,\n"
     "several joined by + (full_jitter+counter), or a file; POLICY@STORE runs it on\n"
     "another store. Without a server's URL it runs on a private empty one.\n",
     "TAI"},
    {"verify", "HISTORY ...", "check recorded runs, without a server",
     "Reads what --history FILE wrote (- is standard input) and checks that every\n"
     "commit stands on the one before it. Exit code 0: all are whole; 4: one is\n"
     "broken, and the first culprits are named; 2: the file is no history.\n",
     "I"},
    {"list", "", "the policies, stores and models that are found",
     "Names every retry, backoff, merge, store and model, with what each is for.\n"
     "Files of your own are found in ./lua, in the folders of VLOCK_PATH, and in\n"
     "$XDG_DATA_HOME/vlock/lua.\n",
     ""},
    {"show", "NAME | KIND/NAME", "print one of them",
     "Prints the file that a name stands for: full_jitter, backoff/full_jitter, cas.\n", ""},
    {"new", "KIND NAME", "begin one of your own",
     "Writes KIND/NAME.lua, a template, and a test of it. KIND is retry, backoff,\n"
     "merge or store. Files that are there are not overwritten.\n",
     ""},
    {"help", "[VERB | OPTION]", "this text, or about one of them",
     "help --json prints all options and verbs as JSON, for programs.\n", ""},
};
const size_t vlock_verb_count = sizeof vlock_verbs / sizeof *vlock_verbs;

const struct vlock_verb *vlock_verb_find(const char *name)
{
    for (size_t i = 0; i < vlock_verb_count; i++)
        if (strcmp(vlock_verbs[i].name, name) == 0)
            return &vlock_verbs[i];
    return NULL;
}

const struct vlock_option *vlock_option_find(const char *name, size_t length)
{
    for (size_t i = 0; i < vlock_option_count; i++) {
        const struct vlock_option *option = &vlock_options_known[i];
        if (option->name && strlen(option->name) == length &&
            memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

const struct vlock_option *vlock_option_of_letter(char letter)
{
    for (size_t i = 0; i < vlock_option_count; i++)
        if (vlock_options_known[i].name && vlock_options_known[i].letter == letter)
            return &vlock_options_known[i];
    return NULL;
}
