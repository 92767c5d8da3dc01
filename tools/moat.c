/* moat: runs programs under moat, says what this system gives it, lists the options. See moat(1). */
#include "moat.h"

#include <stdio.h>
#include <string.h>

#include "moat/moat.h"

static const struct command {
    const char *name, *line, *help;
    int (*main)(int argc, char **argv);
} commands[] = {
    {"run", "run a program with moat as its malloc",
     "Usage: moat run [--profile P] [-o NAME=VALUE]... [--checked] [--fuzz] [--library FILE] [--] PROGRAM\n"
     "       [ARGUMENT]...\n"
     "\n"
     "Runs PROGRAM with moat preloaded. The exit status is the program's own; 127: there is no such\n"
     "program, 126: it can't be run, 2: an option of moat is wrong.\n"
     "\n"
     "  -p, --profile P      production (default), strict, fuzz or embedded\n"
     "  -o, --option N=V     an option of moat, see 'moat options'; several are allowed\n"
     "  -c, --checked        with checked memory and string functions: libmoat-checked.so\n"
     "  -f, --fuzz           for hunting bugs: libmoat-fuzz.so, whose profile is fuzz where none is named\n"
     "      --library FILE   preload FILE in place of the libmoat.so that belongs to this command\n"
     "  -h, --help           this text\n"
     "\n"
     "Options are added to those in the environment's MOAT_OPTIONS; the later one wins.\n"
     "\n"
     "  moat run -- xmllint --noout feed.xml\n"
     "  moat run --profile strict -o stats=exit -- python3 script.py\n",
     moat_run_main},
    {"doctor", "say what this system gives moat, and what is weaker",
     "Usage: moat doctor\n"
     "\n"
     "Shows what moat finds here: kernel features, CPU, limits, the reservation it gets, and whether it is\n"
     "preloaded into every program. Each line starts with 'ok', or with 'weaker' and says what is lost.\n"
     "Limits and MOAT_OPTIONS are those of this very shell.\n",
     moat_doctor_main},
    {"options", "list moat's options",
     "Usage: moat options [--markdown] [NAME]...\n"
     "\n"
     "Lists every option, or those named, with default, range and cost.\n"
     "\n"
     "      --markdown   as the page docs/OPTIONS.md\n"
     "  -h, --help       this text\n",
     moat_options_main},
    {"symbolize", "find functions and lines for a report's stacks",
     "Usage: moat symbolize [--tool PROGRAM] REPORT|-\n"
     "\n"
     "Writes the report with function, file and line for each frame of its stacks. REPORT is a file that holds\n"
     "a report in any form (text, json, asan) and may hold other lines too, or a core file of a process that\n"
     "has reported; - is standard input. The programs and libraries must be those that ran: a file of another\n"
     "build is named on standard error, and its frames stay as they are.\n"
     "\n"
     "      --tool PROGRAM   addr2line or llvm-symbolizer; without it the first one found\n"
     "  -h, --help           this text\n"
     "\n"
     "  moat run -- ./program 2>report; moat symbolize report\n",
     moat_symbolize_main},
    {"fuzz", "fuzz a program with AFL++ and moat as its malloc",
     "Usage: moat fuzz [OPTION]... [--] TARGET [ARGUMENT]...\n"
     "\n"
     "Runs AFL++ with moat preloaded into TARGET alone, in the profile fuzz: each allocation lies between guards.\n"
     "An argument @@ stands for the input's path; without one the input is standard input. TARGET is compiled by\n"
     "afl-clang-fast or afl-gcc-fast; without its source, where AFL++ has the mode, '--afl -Q' (qemu) or '--afl -O'\n"
     "(frida). Whether it can do with addresses that are exact to the byte is tried on the corpus first.\n"
     "\n"
     "  -i DIR               inputs to begin with; without it a single line\n"
     "  -o DIR               where AFL++ keeps what it finds: moat-fuzz\n"
     "  -x FILE              a dictionary\n"
     "  -j N                 N processes of AFL++ that share what they find\n"
     "  -V SECONDS           ends after that time\n"
     "      --option N=V     an option of moat, see 'moat options'; several are allowed\n"
     "      --afl WORD       a further argument of afl-fuzz; several are allowed\n"
     "      --library FILE   preload FILE in place of the libmoat-fuzz.so that belongs to this command\n"
     "  -h, --help           this text\n"
     "\n"
     "  moat fuzz -i corpus -o found -j 2 -- ./parser @@; moat triage found -- ./parser @@\n",
     moat_fuzz_main},
    {"triage", "tell the bugs apart that a fuzzer has found",
     "Usage: moat triage [--option N=V]... [--tool PROGRAM] [--library FILE] DIR [--] TARGET [ARGUMENT]...\n"
     "\n"
     "Runs TARGET on each crashing input in DIR, with the options that 'moat fuzz' ran it with, and writes one line\n"
     "for each distinct bug: kind, innermost functions of the program's own with their lines, how many inputs met\n"
     "it, one of them. DIR is AFL++'s folder, or one that holds inputs.\n"
     "\n"
     "      --option N=V     an option of moat; several are allowed\n"
     "      --tool PROGRAM   addr2line or llvm-symbolizer; without it the first one found\n"
     "      --library FILE   preload FILE in place of the libmoat-fuzz.so that belongs to this command\n"
     "  -h, --help           this text\n",
     moat_triage_main},
    {"top", "show the heap of a running process",
     "Usage: moat top [--once] [--json] [-n TIMES] [-d SECONDS] PROCESS\n"
     "\n"
     "Shows the heap of the process of that number, which has moat as its malloc, every second: sizes and rates,\n"
     "each size class, each shard. It is read from outside; the process is not stopped and need not take part.\n"
     "Needs ptrace permission: the same user and kernel.yama.ptrace_scope=0, or root. What was requested is\n"
     "estimated from some chunks of each class.\n"
     "\n"
     "      --once       one look\n"
     "  -j, --json       each look as a line of JSON\n"
     "  -n, --times N    N looks\n"
     "  -d, --delay S    S seconds from one to the next\n"
     "  -h, --help       this text\n",
     moat_top_main},
    {"map", "draw the heap of a running process",
     "Usage: moat map [-o FILE] PROCESS\n"
     "\n"
     "Draws the heap of the process of that number as an SVG picture on standard output: slabs in the order of their\n"
     "addresses, how full they are, their guards, large chunks. Permission as for 'moat top'.\n"
     "\n"
     "  -o, --output FILE   write to FILE\n"
     "  -h, --help          this text\n",
     moat_map_main},
};

static const char usage[] = "Usage: moat COMMAND [ARGUMENT]...\n"
                            "\n"
                            "moat is a hardened malloc for Linux; this command runs programs with it.\n"
                            "\n";

bool moat_help(const char *name)
{
    if (name == NULL) {
        fputs(usage, stdout);
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
            printf("  %-14s %s\n", commands[i].name, commands[i].line);
        printf("  %-14s %s\n", "help COMMAND", "explain a command");
        printf("  %-14s %s\n", "--version", "print the version");
        return true;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            fputs(commands[i].help, stdout);
            return true;
        }
    }
    return false;
}

static int refuse(const char *word)
{
    fprintf(stderr, "moat: no command '%s'; there are", word);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(stderr, " %s,", commands[i].name);
    fputs(" help. See 'moat --help'.\n", stderr);
    return EXIT_USAGE;
}

static int command_main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        fputs("See 'moat --help'.\n", stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts(moat_version());
        return 0;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        const char *topic = argc > 2 ? argv[2] : NULL;
        return moat_help(topic) ? 0 : refuse(topic);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    return refuse(word);
}

int main(int argc, char **argv)
{
    int status = command_main(argc, argv);
    /* What could not be written is an error: moat options --markdown >/dev/full. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("moat: standard output");
        return 1;
    }
    return status;
}
