/* The help of vlockrun: see help.h. */
#include "command/help.h"

#include <string.h>

#include "base/nearest.h"
#include "command/option_table.h"

#define TOPIC_LIMIT 80
#define TEXT_COLUMN 29
#define WIDTH 100

/* ---- as people read it ---- */

/* The words of a text from column TEXT_COLUMN on, where the first line begins. */
static void print_wrapped(const char *text, FILE *out)
{
    size_t column = TEXT_COLUMN;
    while (*text) {
        size_t length = strcspn(text, " ");
        if (column > TEXT_COLUMN && column + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
        } else if (column > TEXT_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)length, text);
        column += length;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', out);
}

static void print_option(const struct vlock_option *option, FILE *out)
{
    char left[64];
    int used = option->letter
                   ? snprintf(left, sizeof left, "-%c, --%s", option->letter, option->name)
                   : snprintf(left, sizeof left, "    --%s", option->name);
    if (option->value)
        snprintf(left + used, sizeof left - (size_t)used,
                 option->form == FORM_OPTIONAL ? "[=%s]" : " %s", option->value);
    fprintf(out, "  %-*s ", TEXT_COLUMN - 3, left);
    print_wrapped(option->help, out);
}

/* The options of these groups, by their first letters; NULL: of all. */
static void print_groups(const char *groups, FILE *out)
{
    bool is_wanted = false;
    for (size_t i = 0; i < vlock_option_count; i++) {
        const struct vlock_option *option = &vlock_options_known[i];
        if (!option->name) {
            is_wanted = !groups || strchr(groups, option->help[0]);
            if (is_wanted)
                fprintf(out, "\n%s:\n", option->help);
        } else if (is_wanted) {
            print_option(option, out);
        }
    }
}

static void print_all(FILE *out)
{
    fputs("vlockrun - optimistic locking on Redis with conflict policies in Lua\n"
          "\n"
          "  vlockrun [options] FILE.lua [KEY ... , ARG ...]    run a script; a policy is put "
          "under contention\n"
          "  vlockrun [options] POLICY                          the same for one by its name: "
          "full_jitter\n"
          "  vlockrun [options] -e 'CHUNK' [KEY ... , ARG ...]  the same for one line; FILE - is "
          "standard input\n",
          out);
    for (size_t i = 0; i < vlock_verb_count; i++) {
        char left[64];
        snprintf(left, sizeof left, "vlockrun %s %s", vlock_verbs[i].name, vlock_verbs[i].words);
        fprintf(out, "  %-50s %s\n", left, vlock_verbs[i].summary);
    }
    fputs("\n"
          "Examples:\n"
          "  vlockrun lua/backoff/full_jitter.lua               50 workers on one hot key of a "
          "private server\n"
          "  vlockrun compare --workers 20 lua/backoff/*.lua    which of these suits 20 workers?\n"
          "  vlockrun -u redis://localhost -e 'return redis.call(\"GET\", KEYS[1])' mykey\n",
          out);
    print_groups(NULL, out);
    fputs("\n"
          "Options end at FILE; what follows belongs to the script: KEYS before a lone comma, ARGV "
          "after it.\n"
          "Exit codes: 0 fine, 1 the script failed, 2 usage, 3 Redis unreachable or refused us, 4 "
          "the\n"
          "verification failed or a threshold was not met, 130 interrupted. More: man vlockrun\n",
          out);
}

static void print_verb(const struct vlock_verb *verb, FILE *out)
{
    fprintf(out, "vlockrun %s%s%s%s - %s\n\n%s", *verb->groups ? "[options] " : "", verb->name,
            *verb->words ? " " : "", verb->words, verb->summary, verb->text);
    if (*verb->groups)
        print_groups(verb->groups, out);
}

static int refuse_topic(const char *topic, struct vlock_error *error)
{
    const char *names[TOPIC_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < vlock_verb_count; i++)
        names[count++] = vlock_verbs[i].name;
    for (size_t i = 0; i < vlock_option_count && count < TOPIC_LIMIT; i++)
        if (vlock_options_known[i].name)
            names[count++] = vlock_options_known[i].name;
    const char *near = vlock_nearest(topic, names, count);
    return vlock_error_set(error, VLOCK_ERR_USAGE, "no help about '%.60s'%s%s%s", topic,
                           near ? ": did you mean " : "; vlockrun help has it all",
                           near ? near : "", near ? "?" : "");
}

int vlock_help_print(const char *topic, FILE *out, struct vlock_error *error)
{
    if (!topic) {
        print_all(out);
        return 0;
    }
    const struct vlock_verb *verb = vlock_verb_find(topic);
    const char *bare = topic + strspn(topic, "-");
    const struct vlock_option *option =
        strlen(bare) == 1 ? vlock_option_of_letter(*bare) : vlock_option_find(bare, strlen(bare));
    if (verb)
        print_verb(verb, out);
    else if (option)
        print_option(option, out);
    else
        return refuse_topic(bare, error);
    return 0;
}

/* ---- as programs read it ---- */

static void print_text(const char *text, FILE *out)
{
    if (!text) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", out);
        else
            fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('"', out);
}

static void print_field(const char *name, const char *text, FILE *out)
{
    fprintf(out, ",\"%s\":", name);
    print_text(text, out);
}

static void print_option_as_json(const struct vlock_option *option, const char *group, FILE *out)
{
    static const char *const forms[] = {"none",  "text", "file", "duration",
                                        "count", "rate", "url",  "optional"};
    fprintf(out, "{\"name\":\"%s\"", option->name);
    print_field("letter", option->letter ? (char[]){option->letter, '\0'} : NULL, out);
    print_field("form", forms[option->form], out);
    print_field("value", option->value, out);
    print_field("help", option->help, out);
    print_field("group", group, out);
    fputc('}', out);
}

void vlock_help_print_json(FILE *out)
{
    const char *group = "", *comma = "";
    fputs("{\"options\":[", out);
    for (size_t i = 0; i < vlock_option_count; i++) {
        if (!vlock_options_known[i].name) {
            group = vlock_options_known[i].help;
            continue;
        }
        fputs(comma, out);
        print_option_as_json(&vlock_options_known[i], group, out);
        comma = ",\n";
    }
    fputs("],\n\"verbs\":[", out);
    for (size_t i = 0; i < vlock_verb_count; i++) {
        fprintf(out, "%s{\"name\":\"%s\"", i ? ",\n" : "", vlock_verbs[i].name);
        print_field("words", vlock_verbs[i].words, out);
        print_field("summary", vlock_verbs[i].summary, out);
        print_field("text", vlock_verbs[i].text, out);
        fputc('}', out);
    }
    fputs("]}\n", out);
}
